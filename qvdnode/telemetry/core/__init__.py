"""Decisions about logging, pure."""
