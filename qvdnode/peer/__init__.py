"""Other nodes of the farm: calls to them, streams through them, and what they ask of this one."""
