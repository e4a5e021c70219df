"""Losses: pure functions, one value per example."""
