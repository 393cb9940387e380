"""The decisions of auth, pure."""
