"""A Linux virtual desktop farm, one asyncio process per host."""
