"""Collects facts about this host for `qvdnode doctor`, which judges them."""
