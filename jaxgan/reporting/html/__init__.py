"""The report of a run: one HTML page of its curves, sheets, metrics and networks."""
