"""What models made of every single image that they are scored on.

Scores hold counts; with these files two models can be compared on the same images, and the
membership attack be made again.
"""

import json
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
RIGHT = "_right"
# The verdict of the membership attack by confidence: the image looks unseen.
UNSEEN = "forget_unseen"
CONFIDENCE = "_confidence"


@dataclass(frozen=True)
class Outcomes:
    """What one model made of the images of each role, in the order of the images."""

    place: tuple[str, str, str]  # experiment, task and method
    # Number of classes by role; 0 where answers are not chosen among classes.
    classes: Mapping[str, int]
    # (n,) of each role, by name: `{role}_right` uint8, whether the class of the largest logit is
    # the true one, or float64, the score of an answer; of classifiers also `{role}_confidence`
    # float64, the softmax probability of the true class, and `forget_unseen` uint8.
    arrays: Mapping[str, np.ndarray]
    rule: str | None = None  # that chose the model; None if there was nothing to choose

    def right(self, role: str) -> np.ndarray:
        """Return which images of a role are classified correctly, or the scores of its answers."""
        return self.arrays[role + RIGHT]


def outcomes_of(
    labels: Mapping[str, str],
    scores: Mapping[str, ArrayLike],
    classes: Mapping[str, int],
    further: Mapping[str, np.ndarray],
) -> Outcomes:
    """Return what a model made of each item."""
    arrays = dict(further)
    for role, found in scores.items():
        of_items = np.asarray(found)
        arrays[role + RIGHT] = of_items.astype(np.uint8) if of_items.dtype == bool else of_items
    return Outcomes(_place(labels), dict(classes), arrays, labels["rule"])


def write_outcomes(path: str | Path, models: Sequence[Outcomes]) -> None:
    """Write the outcomes of several models into one file, under the models' numbers from 0."""
    header = [
        dict(zip(LABELS, one.place, strict=True)) | {"rule": one.rule, "classes": one.classes}
        for one in models
    ]
    arrays = {
        f"{number}/{name}": array
        for number, one in enumerate(models)
        for name, array in sorted(one.arrays.items())
    }
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
        for labels, own in zip(header, arrays, strict=True):
            for role in labels["classes"]:
                own[role + RIGHT]
        return [
            Outcomes(_place(labels), labels["classes"], own, labels["rule"])
            for labels, own in zip(header, arrays, strict=True)
        ]
    except (SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: holds no outcomes of single images ({error!r}); delete it and run again"
        ) from error


def _place(labels: Mapping[str, str]) -> tuple[str, str, str]:
    experiment, task, method = (labels[key] for key in LABELS)
    return experiment, task, method
