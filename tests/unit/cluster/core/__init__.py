"""Tests of cluster core."""
