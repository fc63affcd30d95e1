"""German Traffic Sign Recognition Benchmark, in the form of the IJCNN competition of 2011.

Its training set ("Training_fixed") has 26,640 images, not the 39,209 of the final one.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from negmerge.data.archives import Limits, members, read_members
from negmerge.data.labels import require_all
from negmerge.errors import UserError

TEST_LABELS = "GT-final_test.csv"


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, bytes, tuple]]:
    """Read `train` by class folder and file name, and `test` in the order of `test-labels`."""
    limits = Limits.of(row)
    for member in members(files["train"], limits):
        path = PurePosixPath(member.name)
        if path.suffix == ".ppm":
            label = int(path.parent.name)
            yield "train", label, member.read(), (0, label, path.name)
    (content,) = read_members(files["test-labels"], limits, [TEST_LABELS])
    labels = read_labels(content.decode(), files["test-labels"])
    for member in members(files["test"], limits):
        name = member.name.rpartition("/")[2]
        if name in labels:
            place, label = labels.pop(name)
            yield "test", label, member.read(), (1, place)
    require_all(labels, files["test"])


def read_labels(text: str, where: str) -> dict[str, tuple[int, int]]:
    """Read place and label of each file from a table with `;` between its columns.

    Raises:
        UserError: a column is missing, or a label is no number.
    """
    try:
        rows = csv.DictReader(text.splitlines(), delimiter=";")
        return {r["Filename"]: (place, int(r["ClassId"])) for place, r in enumerate(rows)}
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{where}: not the labels of the test images ({error})") from error
