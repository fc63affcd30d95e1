"""How many images each role of a task has, by the rows of the data sets and a study's settings."""

from pathlib import Path

from negmerge.data.splits import VALIDATION_LIMIT, VALIDATION_SHARE
from negmerge.errors import UserError
from negmerge.scenarios.classifier.settings import Classifier
from negmerge.scenarios.zero_shot.settings import ZeroShot
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.experiment import Experiment

Counts = dict[str, dict[str, int]]
# The purposes of images, and the part of a data set that each takes in the scenario `zero-shot`.
PURPOSES = {"train": "train", "select": "val", "score": "test"}


def part_sizes(known: Catalogue, dataset: str) -> dict[str, int]:
    """Count the images of each part of a data set, with `val` cut from `train` if it has none."""
    sizes = dict(known.datasets[dataset].splits)
    if "val" not in sizes and "train" in sizes:
        sizes["val"] = min(int(VALIDATION_SHARE * sizes["train"]), VALIDATION_LIMIT)
        sizes["train"] -= sizes["val"]
    return sizes


def role_counts(experiment: Experiment, task: str, known: Catalogue) -> Counts:
    """Count the images of a task by role and purpose: to train with, choose by, and score.

    The role `original` of a classifier has what the original model is trained on. With the rule
    `salun` it may have a few images more: how many each class has is not known here.

    Raises:
        UserError: a list of images to forget cannot be read.
    """
    if isinstance(experiment, ZeroShot):
        found = {}
        for role, dataset in experiment.roles(task).items():
            sizes = part_sizes(known, dataset)
            found[role] = {purpose: sizes.get(part, 0) for purpose, part in PURPOSES.items()}
        return found
    assert isinstance(experiment, Classifier)
    sizes = known.datasets[experiment.dataset].splits
    n = sizes["train"]
    kept = n - n // 10 if experiment.forget.rule == "salun" else n
    forget = _forgotten(experiment, kept)
    whole = {"forget": forget, "retain": kept - forget, "original": kept, "test": sizes["test"]}
    most = experiment.selection.images or n
    return {
        role: {"train": count, "select": min(count, most), "score": count}
        for role, count in whole.items()
    }


def _forgotten(experiment: Classifier, images: int) -> int:
    if experiment.forget.file is None:
        return round(experiment.forget.share * images)
    path = Path(experiment.forget.file)
    try:
        return len(path.read_text().split())
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
