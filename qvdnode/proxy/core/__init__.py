"""What the relay decides, pure."""
