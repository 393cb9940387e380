"""Use cases: a user lists, connects to and stops desktops."""
