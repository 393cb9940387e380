"""Wire and file formats, reading and writing, as pure functions and tables."""
