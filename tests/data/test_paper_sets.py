"""Each data set of the paper, in its own layout, from a server to batches."""

import numpy as np
import pytest
from made_sets import SETS
from small_rows import small, written

from negmerge.data import preparation, train_val_split
from negmerge.data.augmentation import evaluation_transform
from negmerge.data.fetch import download
from negmerge.data.images import Images
from negmerge.data.loading import EvaluationBatches, Part
from negmerge.errors import UserError

TRANSFORM = evaluation_transform(8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def row_of(catalogue):
    return lambda name: catalogue.datasets[name].model_dump()


def prepare(row, paths, target):
    preparation.prepare("a set", row, [paths[key] for key in row["files"]], target)


def test_all_sets_of_the_paper_have_a_layout_here(catalogue):
    images = {name: row for name, row in catalogue.datasets.items() if not row.has_questions}
    assert set(SETS) == {name for name, row in images.items() if row.downloads}


@pytest.mark.parametrize("name", SETS)
def test_a_set_goes_all_the_way(name, row_of, server, tmp_path):
    made = SETS[name]()
    row = small(row_of(name), made, server)
    assert {split for split, items in made.expected.items() if items} == set(row["splits"])
    paths = {}
    for key, file in row["files"].items():
        paths[key] = str(tmp_path / file["name"])
        server.faults[file["name"]] = [100]
        download(paths[key], file, pauses=(0, 0), write=lambda line: None)
    prepare(row, paths, tmp_path / "prepared")
    for split, expected in made.expected.items():
        images = Images(tmp_path / "prepared", split)
        assert images.labels.tolist() == [label for label, _ in expected]
        for place, (_, image) in enumerate(expected):
            if isinstance(image, bytes):
                start, end = images._spans[place]
                assert images._bytes[int(start) : int(end)].tobytes() == image
                assert images[place].mode == "RGB"
            else:
                assert np.array_equal(images[place], image)
    check_parts(tmp_path / "prepared", name, made)


def check_parts(path, name, made):
    expected = {split: [label for label, _ in items] for split, items in made.expected.items()}
    if "val" not in expected:
        training, validation = train_val_split(len(expected["train"]), name)
        expected["val"] = [expected["train"][place] for place in validation]
        expected["train"] = [expected["train"][place] for place in training]
    for part, labels in expected.items():
        batches = EvaluationBatches(Part(path, part, name), TRANSFORM, 4)
        assert [label for _, some in batches for label in some.tolist()] == labels


@pytest.mark.parametrize("name", SETS)
def test_a_truncated_file_is_refused_before_it_is_read(name, row_of, tmp_path):
    made = SETS[name]()
    row, paths = small(row_of(name), made), written(made, tmp_path)
    for key, content in made.files.items():
        (tmp_path / key).write_bytes(content[:-1])
        with pytest.raises(UserError, match=f"{paths[key]}: not the right file: found ") as caught:
            prepare(row, paths, tmp_path / "prepared")
        assert "\n" not in str(caught.value)
        (tmp_path / key).write_bytes(content)
    prepare(row, paths, tmp_path / "prepared")
