"""Scores of unlearned models, and the sparsity of merged vectors."""
