"""Decisions about where guests live, pure."""
