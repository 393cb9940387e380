"""Memory of the host: what is free, what is promised."""
