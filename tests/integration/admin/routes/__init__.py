"""The routes, asked over HTTP."""
