"""Metrics of images or of their features."""
