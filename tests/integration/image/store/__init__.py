"""The store of images, on the real disk."""
