"""The connections between the nodes of a farm: who may connect, and how."""
