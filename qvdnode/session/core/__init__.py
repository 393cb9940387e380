"""Decisions of the use cases, without I/O."""
