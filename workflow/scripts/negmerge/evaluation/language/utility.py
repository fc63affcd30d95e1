"""Model utility: one number for all that a model should still know."""

from collections.abc import Sequence

from negmerge.errors import UserError
from negmerge.evaluation.language.arrays import numbers


def model_utility(parts: Sequence[float]) -> float:
    """Return the harmonic mean of the parts; one part of 0 makes it 0.

    TOFU's nine parts: probability, ROUGE-L recall and truth ratio (kind `retain`) of the retain
    set, of real authors and of world facts, where the last two have normalised probabilities. No
    number of the forget set is among them.

    Args:
        parts: each 0..1.

    Raises:
        NotFinite: a part is NaN.
        UserError: there is none, or one is below 0.
    """
    # Here, since it takes half a second to import.
    from scipy.stats import hmean

    found = numbers(parts, "parts of model utility")
    if not found.size or found.min() < 0:
        raise UserError(f"model utility of {found.tolist()}, expected at least 1 part, each 0..1")
    return float(hmean(found))
