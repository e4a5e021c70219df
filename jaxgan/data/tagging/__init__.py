"""Tagged images and word vectors."""
