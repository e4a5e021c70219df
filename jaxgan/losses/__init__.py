"""Losses as pure functions: one value per example, nothing reduced."""
