"""The words of the farm: frozen values and errors, no I/O."""
