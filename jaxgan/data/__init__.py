"""Datasets and batches."""

from jaxgan.data.registry import load as load
