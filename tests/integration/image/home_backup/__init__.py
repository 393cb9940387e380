"""Backups of homes."""
