"""Nodes that speak with each other, over real sockets."""
