"""The relay between a client's stream and a guest's display."""
