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
    """What one model made of the images of each role, in the order of the images.

    Attributes:
        place: experiment, task and method.
        classes: number of classes by role.
        arrays: (n,) of each role, by name: `{role}_right` uint8, whether the class of the largest
            logit is the true one; of classifiers also `{role}_confidence` float64, the softmax
            probability of the true class, and `forget_unseen` uint8.
        rule: that chose the model; None if there was nothing to choose.
    """

    place: tuple[str, str, str]
    classes: Mapping[str, int]
    arrays: Mapping[str, np.ndarray]
    rule: str | None = None

    def right(self, role: str) -> np.ndarray:
        """Return which images of a role are classified correctly, (n,) uint8."""
        return self.arrays[role + RIGHT]


def outcomes_of(
    labels: Mapping[str, str],
    found: Mapping[str, tuple[ArrayLike, ArrayLike]],
    further: Mapping[str, np.ndarray],
) -> Outcomes:
    """Return what a model made of each image.

    Args:
        labels: experiment, task, method and rule; more are left out.
        found: logits (n, classes) and labels (n,) by role, numpy or torch (CPU).
        further: more arrays for `Outcomes.arrays`.
    """
    arrays, classes = dict(further), {}
    for role, (logits, truth) in found.items():
        scores = np.asarray(logits)
        # As `accuracy.count_right`: of equal logits the first is the answer.
        arrays[role + RIGHT] = (scores.argmax(axis=1) == np.asarray(truth)).astype(np.uint8)
        classes[role] = scores.shape[1]
    return Outcomes(_place(labels), classes, arrays, labels["rule"])


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
    """Read what `write_outcomes` wrote.

    Raises:
        UserError: the file holds no outcomes.
    """
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
