"""Sources of data, one format or dataset per file."""
