"""Tests: unit mirrors the code, contract and integration use the real thing, e2e whole programs."""
