"""Metrics of language models that forget, on arrays: TOFU's, as open-unlearning has them.

Maini et al., TOFU (COLM 2024), and locuslab/open-unlearning at d3d7cf9. A loss is the mean over the
tokens of an answer, its end included, of minus the log-probability in nats.
"""

from negmerge.evaluation.language.attacks import (
    membership_auc,
    membership_auc_error,
    min_k_plus_plus_scores,
    min_k_scores,
    privleak,
    privleak_error,
    reference_scores,
    utility_error,
    zlib_scores,
)
from negmerge.evaluation.language.probability import (
    answer_probability,
    exact_memorisation,
    extraction_strength,
    model_utility,
    normalised_probability,
    rouge_recall,
)
from negmerge.evaluation.language.truth import (
    forget_quality,
    forget_quality_at,
    truth_ratio,
    truth_ratios,
    truthfulness,
)

__all__ = [
    "answer_probability",
    "exact_memorisation",
    "extraction_strength",
    "forget_quality",
    "forget_quality_at",
    "membership_auc",
    "membership_auc_error",
    "min_k_plus_plus_scores",
    "min_k_scores",
    "model_utility",
    "normalised_probability",
    "privleak",
    "privleak_error",
    "reference_scores",
    "rouge_recall",
    "truth_ratio",
    "truth_ratios",
    "truthfulness",
    "utility_error",
    "zlib_scores",
]
