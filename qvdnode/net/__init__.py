"""The guests' network and their confinement."""
