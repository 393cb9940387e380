"""Commits in registries and in folders."""
