"""Benchmarks: each writes its figures and its raw samples to bench/results and prints a table."""
