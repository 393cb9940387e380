"""Membership, placement, leases."""
