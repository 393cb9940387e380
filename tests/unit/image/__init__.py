"""Desktop images, without I/O."""
