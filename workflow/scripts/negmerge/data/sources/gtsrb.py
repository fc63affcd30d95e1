"""German Traffic Sign Recognition Benchmark, in the form of the IJCNN competition of 2011.

Its training set ("Training_fixed") has 26,640 images, not the 39,209 of the final one.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from negmerge.data.archives import Member, file_name, listed_members, members, read_members
from negmerge.data.tables import table, whole_number
from negmerge.errors import UserError

TEST_LABELS = "GT-final_test.csv"
COLUMNS = ("Filename", "ClassId")


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Member, tuple]]:
    """Read `train` by class folder and file name, and `test` in the order of `test-labels`."""
    for member in members(files["train"]):
        path = PurePosixPath(member.name)
        if path.suffix == ".ppm":
            label = whole_number(path.parent.name, f"{member}: its folder")
            yield "train", label, member, (0, label, path.name)
    (content,) = read_members(files["test-labels"], [TEST_LABELS])
    labels = read_labels(content, f"{files['test-labels']}: {TEST_LABELS}")
    for member, (place, label) in listed_members(files["test"], labels, file_name):
        yield "test", label, member, (1, place)


def read_labels(content: bytes, where: str) -> dict[str, tuple[int, int]]:
    """Read place and label of each file from a table with `;` between its columns."""
    header, *rows = table(content, where, separator=";")
    for column in COLUMNS:
        if column not in header:
            raise UserError(f"{where}: has no column {column}")
    name, label = map(header.index, COLUMNS)
    return {
        row[name]: (place, whole_number(row[label], f"{where}: line {place + 2}"))
        for place, row in enumerate(rows)
    }
