"""Trained networks: sampling, reading codes, interpolation, feature maps."""
