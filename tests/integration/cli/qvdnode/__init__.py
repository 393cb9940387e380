"""qvdnode."""
