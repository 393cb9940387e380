"""memopt against the running kernel."""
