"""`qvdnode`: what runs on a host of the farm."""
