"""Scores of unlearned models, and the sparsity of merged vectors."""

from negmerge.evaluation.membership import svc_membership
from negmerge.evaluation.outcomes import average_gap

__all__ = ["average_gap", "svc_membership"]
