"""Decisions about images and disk space, pure."""
