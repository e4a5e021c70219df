"""Metrics as functions of arrays, one per file."""
