"""Desktop images: building, importing, root file systems for guests."""
