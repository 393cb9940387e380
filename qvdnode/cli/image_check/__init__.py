"""`qvdnode image check`: boots an image once and tells what works in it."""
