"""Whole programs, end to end: real node, real database, real containers, real NX."""
