"""Backups of homes: files read one by one, their content kept in blocks, each block once."""
