"""Feature extractors: functions from images to features."""
