"""One data format or dataset a file."""
