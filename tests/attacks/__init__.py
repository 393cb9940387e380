"""Attacks on a node and its host, run as real programs from where the attacker stands."""
