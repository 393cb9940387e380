"""What makes an image acceptable."""
