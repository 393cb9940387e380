"""Fuzzing as it is started."""
