"""`qvdnode doctor`: what a host can do, and how to mend it."""
