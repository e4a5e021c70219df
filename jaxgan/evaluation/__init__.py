"""From a trained run to rows of results.json."""
