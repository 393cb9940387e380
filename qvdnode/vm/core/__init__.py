"""The tables of a guest's life and the pure translations to drivers."""
