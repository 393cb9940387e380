"""What is decided about the host's resources without touching them."""
