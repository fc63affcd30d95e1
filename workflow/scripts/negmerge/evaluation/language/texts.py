"""Generated texts beside the true answers."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from negmerge.errors import UserError


def rouge_recall(
    truths: Sequence[str], texts: Sequence[str], kind: Literal["rougeL", "rouge1"] = "rougeL"
) -> np.ndarray:
    """Compute ROUGE recall of each text: which share of the truth's words it holds.

    ROUGE-L: the longest common subsequence of words / the number of the truth's words; ROUGE-1:
    the words in common, in any order (Lin 2004). By the package rouge-score with its stemmer, as in
    open-unlearning. Case and punctuation do not count. A truth without words has a recall of 0.

    Args:
        truths: n true answers.
        texts: n generated ones, in the same order, without the mark of their end.
        kind: which recall.

    Returns:
        (n,) float64, 0..1.

    Raises:
        UserError: lists of unlike length, or rouge-score is not installed.
    """
    if len(truths) != len(texts):
        raise UserError(f"ROUGE: {len(texts)} texts, expected {len(truths)}, one for each truth")
    try:
        # Here, since only this metric needs it, and it loads a second's worth of others.
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise UserError(
            "ROUGE needs the package rouge-score: pip install 'negmerge[language]'"
        ) from error
    scorer = RougeScorer([kind], use_stemmer=True)
    pairs = zip(truths, texts, strict=True)
    return np.array([scorer.score(truth, text)[kind].recall for truth, text in pairs], np.float64)
