"""The options of merge methods, a file each, which load no torch."""
