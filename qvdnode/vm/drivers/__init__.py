"""One file per kind of guest."""
