"""The front door for clients: TLS, the QVD protocol."""
