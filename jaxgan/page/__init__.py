"""The HTML report of runs: one self-contained file."""
