"""Tests of memopt."""
