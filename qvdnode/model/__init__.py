"""The values and errors of the farm, frozen, no I/O."""
