"""What is decided about logs without writing any."""
