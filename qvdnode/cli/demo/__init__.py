"""`qvdnode demo`: starts a farm and a desktop with one command."""
