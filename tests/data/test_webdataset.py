"""Shards in the layout of the hub's mirrors give what the reader of the original gives."""

import numpy as np
import pytest
from made_mirrors import in_order, sample, shards
from made_sets import SETS

from negmerge.data.images import Images
from negmerge.data.preparation import prepare
from negmerge.errors import UserError

DIGITS = [str(number) for number in range(10)]
PIXELS = np.zeros((4, 4, 3), np.uint8)


@pytest.fixture
def row_and_files(mirror):
    """The row of MNIST's mirror with the sizes of a made set, its files, and the made set."""

    def run(numbers=range(10)):
        made = SETS["mnist"]()
        row = mirror("mnist", "clip-benchmark", made, DIGITS)
        return row, shards(row, made, list(numbers)), made

    return run


@pytest.mark.parametrize("numbers", [range(10), range(9, -1, -1)], ids=["ours", "another order"])
def test_shards_give_the_images_of_the_original_in_its_order(
    numbers, row_and_files, original, fetched, tmp_path
):
    row, files, made = row_and_files(numbers)
    # A list of shards as the hub sorts their names.
    row["options"]["files"]["train"].sort()
    prepare("mnist", row, fetched(row, files), tmp_path / "prepared")
    expected = original("mnist", made)
    for split in made.expected:
        found, theirs = Images(tmp_path / "prepared", split), Images(expected, split)
        assert found.labels.tolist() == theirs.labels.tolist()
        for place in range(len(theirs)):
            assert np.array_equal(found[place], theirs[place])
    assert row["differs"] is None


WRONG = [
    ({"s1.cls": b"1"}, "sample 's1' has the files cls, expected cls and one of jpeg, jpg, png, we"),
    (sample("s1", 10, PIXELS), "sample 's1' has label 10, expected 0..9"),
]  # fmt: skip


@pytest.mark.parametrize(("members", "finding"), WRONG)
def test_wrong_samples_are_refused(members, finding, row_and_files, fetched, tmp_path):
    row, files, _ = row_and_files()
    files["test-0"] = in_order(members)
    paths = fetched(row, files)
    with pytest.raises(UserError) as caught:
        prepare("mnist", row, paths, tmp_path / "prepared")
    shard = dict(zip(files, paths, strict=True))["test-0"]
    assert str(caught.value).startswith(f"{shard}: {finding}")
    assert "\n" not in str(caught.value)
