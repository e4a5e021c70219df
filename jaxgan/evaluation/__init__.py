"""Measures trained networks: from a run to the rows of results.json."""
