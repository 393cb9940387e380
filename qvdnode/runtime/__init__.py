"""Tools every part uses: clock, task ownership, undo."""
