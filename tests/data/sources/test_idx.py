import gzip
import struct

import numpy as np
import pytest

from negmerge.data.sources.idx import IMAGES_MAGIC, LABELS_MAGIC, read, read_idx
from negmerge.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 3, 2), np.uint8)
LABELS = np.array([3, 0, 255, 1], np.uint8)


def idx(magic, values):
    return struct.pack(f">{1 + values.ndim}i", magic, *values.shape) + values.tobytes()


def save(path, content):
    path.write_bytes(gzip.compress(content))
    return str(path)


@pytest.fixture
def files(tmp_path):
    return {
        "train-images": save(tmp_path / "images.gz", idx(IMAGES_MAGIC, IMAGES)),
        "train-labels": save(tmp_path / "labels.gz", idx(LABELS_MAGIC, LABELS)),
    }


def test_images_and_labels_come_in_their_order(files):
    found = list(read(files, {"splits": {"train": 4}, "options": {}}))
    assert [(split, label) for split, label, _ in found] == [("train", n) for n in (3, 0, 255, 1)]
    for (_, _, image), expected in zip(found, IMAGES, strict=True):
        assert image.size == (2, 3)
        assert np.array_equal(image, expected)


def refused(path, magic=IMAGES_MAGIC, dimensions=3):
    with pytest.raises(UserError) as caught:
        read_idx(str(path), magic, dimensions)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_truncated_gzip_is_refused(files, tmp_path):
    whole = (tmp_path / "images.gz").read_bytes()
    path = tmp_path / "cut.gz"
    for length in (1, 9, 15, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert refused(path).startswith("not a whole gzip file (")
    path.write_bytes(whole[:15] + bytes([whole[15] ^ 255]) + whole[16:])
    assert refused(path).startswith("not a whole gzip file (")


def test_a_file_may_be_unpacked(tmp_path):
    path = tmp_path / "images"
    content = idx(IMAGES_MAGIC, IMAGES)
    path.write_bytes(content)
    assert np.array_equal(read_idx(str(path), IMAGES_MAGIC, 3), IMAGES)
    path.write_bytes(content[:-1])
    assert refused(path) == "23 bytes of data, its header says 24"


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"", "not an IDX file with magic number 2051"),
        (b"\0\0\x08\x03", "not an IDX file with magic number 2051"),
        (idx(LABELS_MAGIC, LABELS), "not an IDX file with magic number 2051"),
        (idx(IMAGES_MAGIC, IMAGES)[:-1], "23 bytes of data, its header says 24"),
        (idx(IMAGES_MAGIC, IMAGES) + b"1", "25 bytes of data, its header says 24"),
    ],
    ids=["empty", "a magic number only", "labels", "too short", "too long"],
)
def test_files_of_another_form_are_refused(tmp_path, content, finding):
    path = tmp_path / "f.gz"
    save(path, content)
    assert refused(path) == finding


def test_images_without_labels_are_refused(files, tmp_path):
    files["train-labels"] = save(tmp_path / "fewer.gz", idx(LABELS_MAGIC, LABELS[:3]))
    with pytest.raises(UserError) as caught:
        list(read(files, {"splits": {"train": 4}, "options": {}}))
    assert str(caught.value) == f"{tmp_path / 'fewer.gz'}: 3 labels for 4 images"


def test_the_first_images_of_a_split_may_be_taken(files):
    def labels(first):
        row = {"splits": {"train": 2}, "options": {"first": first}}
        return [label for _, label, _ in read(files, row)]

    assert labels({"train": 2}) == [3, 0]
    assert labels({"test": 2}) == labels({"train": 9}) == [3, 0, 255, 1]
