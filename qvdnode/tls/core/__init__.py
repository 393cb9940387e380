"""Decisions of the TLS ports, pure."""
