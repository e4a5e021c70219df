"""Writes what people read of a run: rows of metrics, sample sheets, figures, the report."""
