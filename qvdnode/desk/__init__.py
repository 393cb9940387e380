"""Desktops in the browser: a display in a sandbox on the entry node, one more NX client."""
