"""Certificates: made at first start, loaded, reloaded without a drop."""
