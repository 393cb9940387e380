"""What the node's TLS ports decide without I/O."""
