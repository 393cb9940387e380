"""Decisions of the client, pure."""
