"""Logs with correlation ids, and the registry of metrics."""
