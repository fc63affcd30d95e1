"""Scores of unlearned models, and the sparsity of merged vectors."""

from negmerge.evaluation.gap import average_gap
from negmerge.evaluation.membership import svc_membership

__all__ = ["average_gap", "svc_membership"]
