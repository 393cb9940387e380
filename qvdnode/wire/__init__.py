"""Formats that cross a border, both ways, as pure functions and tables."""
