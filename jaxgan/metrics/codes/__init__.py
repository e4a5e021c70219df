"""Metrics of codes against labels or factors."""
