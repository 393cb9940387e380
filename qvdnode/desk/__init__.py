"""Desktops in the browser: a display in a sandbox on the entry node, one NX client like any other."""
