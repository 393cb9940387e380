"""TLS over real sockets."""
