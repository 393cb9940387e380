"""`qvdnode doctor`: checks a host and says how to fix what it finds."""
