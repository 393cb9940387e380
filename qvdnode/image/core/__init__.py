"""What makes an image acceptable, pure."""
