"""web.core."""
