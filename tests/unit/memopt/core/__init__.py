"""Tests of memopt core."""
