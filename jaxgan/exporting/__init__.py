"""Trained generators as files that other programs read."""
