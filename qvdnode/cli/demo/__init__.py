"""`qvdnode demo`: a farm and its desktop in one command."""
