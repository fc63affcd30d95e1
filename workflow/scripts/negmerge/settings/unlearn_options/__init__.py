"""The options of unlearn methods, a file each, which load no torch."""
