"""Commits in registries and in folders: push, fetch and pull."""
