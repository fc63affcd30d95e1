"""Stanford Cars: images in two archives, labels in MATLAB files (Krause et al., 2013)."""

from collections.abc import Iterator, Mapping

from negmerge.data.archives import (
    Member,
    file_name,
    listed_members,
    read_file,
    read_members,
)
from negmerge.data.matlab import field, read_variables

TRAIN_LABELS = "devkit/cars_train_annos.mat"


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Member, tuple]]:
    """Read `train-images` and `test-images` in the order of the annotations.

    Those of `train` are in `devkit`, those of `test` in a file of their own, `test-labels`.
    """
    (train_labels,) = read_members(files["devkit"], [TRAIN_LABELS])
    annotations = {
        "train": read_labels(train_labels, f"{files['devkit']}: {TRAIN_LABELS}"),
        "test": read_labels(read_file(files["test-labels"]), files["test-labels"]),
    }
    for number, (split, labels) in enumerate(annotations.items()):
        listed = {name: (label, place) for place, (name, label) in enumerate(labels.items())}
        images = listed_members(files[f"{split}-images"], listed, file_name)
        for member, (label, place) in images:
            yield split, label, member, (number, place)


def read_labels(content: bytes, where: str) -> dict[str, int]:
    """Read labels, which start at 1 there, by file names, in the order of the annotations."""
    (records,) = read_variables(content, ["annotations"], where)
    names, classes = field(records, "fname", str, where), field(records, "class", int, where)
    return {name: label - 1 for name, label in zip(names, classes, strict=True)}
