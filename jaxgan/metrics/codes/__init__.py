"""Metrics of codes: arrays of codes and of labels or factors."""
