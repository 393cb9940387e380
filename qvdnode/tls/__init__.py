"""TLS: the node's certificate, and the server's side of connections on both ports."""
