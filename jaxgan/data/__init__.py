"""Datasets, by name, and their batches."""

from jaxgan.data.registry import load as load
