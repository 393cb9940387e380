"""Rule sets and address arithmetic, pure."""
