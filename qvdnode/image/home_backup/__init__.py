"""Backups of homes, file by file. Contents are stored in blocks, each distinct block once."""
