"""A classifier forgets some of its training images."""
