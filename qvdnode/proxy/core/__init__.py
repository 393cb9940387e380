"""The relay's decisions, pure."""
