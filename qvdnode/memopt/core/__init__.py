"""Memory arithmetic, pure."""
