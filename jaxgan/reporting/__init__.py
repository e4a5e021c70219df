"""What a run writes for people: rows, sheets, figures, the report."""
