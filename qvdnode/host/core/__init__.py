"""Decisions about the host's resources, pure."""
