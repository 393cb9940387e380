"""The node program: configuration and composition."""
