"""Guests: lifecycle, display, actors, drivers."""
