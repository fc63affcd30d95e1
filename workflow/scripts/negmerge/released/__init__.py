"""The files that the authors of NegMerge released: read without running them, and converted."""
