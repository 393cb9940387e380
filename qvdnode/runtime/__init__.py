"""Basic services of all packages: clock, task supervision, rollback."""
