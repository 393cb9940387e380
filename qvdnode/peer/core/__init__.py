"""What the links between nodes decide, pure."""
