"""What a user's evaluation of one model returned.

Scores are any numbers that are larger where more is remembered: accuracies as fractions or in
percent, ROUGE, log-likelihoods.
"""

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from negmerge.errors import UserError

EXAMPLE = '{"forget": 0.41, "control": 0.63}'
SCORES = ("forget", "control")


@dataclass(frozen=True)
class Measurement:
    """What was measured at one coefficient."""

    coefficient: float
    forget: float
    control: float
    others: Mapping[str, object] = field(default_factory=dict)


def measurement(coefficient: float, found: object, where: str) -> Measurement:
    """Check what a user's evaluation returned."""
    if not isinstance(found, Mapping):
        raise UserError(f"{where}: found {reprlib.repr(found)}, expected an object like {EXAMPLE}")
    scores = {}
    for score in SCORES:
        if score not in found:
            raise UserError(
                f"{where}: the key {score!r} is missing in {reprlib.repr(dict(found))}, expected "
                f"an object like {EXAMPLE}"
            )
        scores[score] = _finite(found[score])
        if scores[score] is None:
            raise UserError(
                f"{where}: {score!r} is {reprlib.repr(found[score])}, expected a finite number"
            )
    others = {key: value for key, value in found.items() if key not in SCORES}
    return Measurement(coefficient, others=others, **scores)


def _finite(value: object) -> float | None:
    """Return a number, or one in a tensor or an array without axes, as a float."""
    if isinstance(value, str | bytes | bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    return number if math.isfinite(number) else None
