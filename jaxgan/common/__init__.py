"""Shared by all layers: PRNG streams, caches, files, progress, errors."""
