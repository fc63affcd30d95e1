"""How models answered the items that they are scored on: counts, the average gap, and each item."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from negmerge.errors import UserError
from negmerge.files import replacing

LABELS = ("experiment", "task", "method")
RIGHT, CONFIDENCE = "_right", "_confidence"
# The verdict of the membership attack by confidence: the image looks unseen.
UNSEEN = "forget_unseen"
# In a score: of how many models outputs were averaged, and how far two halves of them differ.
ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Accuracy:
    """How many of n images were classified correctly; or the sum of n scores, each 0..1."""

    correct: int | float
    n: int

    @property
    def share(self) -> float:
        """The share of right answers, or the mean score, 0..1."""
        return self.correct / self.n


def average_gap(scores: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """Average the absolute differences to a reference over all metrics, in percentage points.

    SalUn's Avg. Gap (Fan et al. 2024), which NegMerge's Table 2 prints: over the accuracies on
    retain, forget and test images and the membership attack, against Retrain. It is taken on the
    mean values of a table, in percent by metric. Lower is better, 0 is best. Other metrics in one
    than in the other, none at all, NaN or an infinity are a UserError.
    """
    sides = {"the scores": scores, "the reference": reference}
    for place, values in sides.items():
        missing = sorted({*scores, *reference} - {*values})
        if missing:
            raise UserError(f"average gap: {', '.join(missing)} missing from {place}")
        for name, value in values.items():
            if not math.isfinite(value):
                raise UserError(f"average gap: {name} is {value} in {place}, expected a percentage")
    if not scores:
        raise UserError("average gap: no metric, expected at least 1")
    return math.fsum(abs(scores[name] - reference[name]) for name in scores) / len(scores)


@dataclass(frozen=True)
class Outcomes:
    """What one model made of the items of each role, in the order of the items."""

    place: tuple[str, str, str]  # experiment, task and method
    # Number of classes by role; 0 where answers are not chosen among classes.
    classes: Mapping[str, int]
    # (n,) of each role, by name: `{role}_right` uint8, whether the class of the largest logit is
    # the true one, or float64, the score of an answer; of classifiers also `{role}_confidence`
    # float64, the softmax probability of the true class, and `forget_unseen` uint8.
    arrays: Mapping[str, np.ndarray]
    criterion: str | None = None  # the criterion that chose the model; None if there was no choice

    def right(self, role: str) -> np.ndarray:
        """Return which images of a role are classified correctly, or the scores of its answers."""
        return self.arrays[role + RIGHT]


def outcomes_of(
    labels: Mapping[str, str],
    scores: Mapping[str, ArrayLike],
    classes: Mapping[str, int],
    further: Mapping[str, np.ndarray],
) -> Outcomes:
    """Gather the scores of each item by role, and further arrays by name."""
    arrays = dict(further)
    for role, score in scores.items():
        values = np.asarray(score)
        arrays[role + RIGHT] = values.astype(np.uint8) if values.dtype == bool else values
    return Outcomes(_place(labels), dict(classes), arrays, labels["criterion"])


def write_outcomes(path: str | Path, models: Sequence[Outcomes]) -> None:
    """Write the outcomes of several models into one file, under the models' numbers from 0."""
    header, arrays = [], {}
    for number, model in enumerate(models):
        labels = dict(zip(LABELS, model.place, strict=True))
        header.append(labels | {"criterion": model.criterion, "classes": model.classes})
        arrays |= {f"{number}/{name}": model.arrays[name] for name in sorted(model.arrays)}
    with replacing(path) as partial:
        save_file(arrays, partial, metadata={"negmerge": json.dumps(header, sort_keys=True)})


def read_outcomes(path: str | Path) -> list[Outcomes]:
    """Read what `write_outcomes` wrote."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            header = json.loads(file.metadata()["negmerge"])
            arrays: list[dict] = [{} for _ in header]
            for key in file.keys():  # noqa: SIM118
                number, name = key.split("/")
                arrays[int(number)][name] = file.get_tensor(key)
        return [
            Outcomes(_place(labels), labels["classes"], own, labels["criterion"])
            for labels, own in zip(header, arrays, strict=True)
        ]
    except (SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: holds no outcomes of single images ({error!r}); delete it and run again"
        ) from error


def _place(labels: Mapping[str, str]) -> tuple[str, str, str]:
    experiment, task, method = (labels[key] for key in LABELS)
    return experiment, task, method
