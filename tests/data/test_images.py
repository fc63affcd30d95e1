"""The prepared file: what goes in comes out, in bounded memory, whole or not at all."""

import io
import json
import tracemalloc

import numpy as np
import pytest
from made_files import picture as coloured
from PIL import Image
from safetensors.numpy import load_file, save_file

from negmerge.data.images import Images
from negmerge.data.preparation import encode, write_images
from negmerge.errors import UserError


def picture(seed, size=(9, 7), mode="RGB"):
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


ITEMS = [
    ("test", 1, picture(0)),
    ("train", 0, picture(1, (5, 30))),
    ("train", 2, picture(2, mode="L")),
    ("pretrain", 1, picture(3)),
    ("train", 1, picture(4)),
]
COUNTS = {"pretrain": 1, "train": 3, "test": 1}


@pytest.fixture
def path(tmp_path):
    write_images(tmp_path / "images", ITEMS, COUNTS, 3)
    return tmp_path / "images"


def test_images_come_back_pixel_for_pixel_in_their_order(path, tmp_path):
    for split in COUNTS:
        expected = [(label, image) for name, label, image in ITEMS if name == split]
        images = Images(path, split)
        assert len(images) == len(expected) == COUNTS[split]
        assert images.labels.tolist() == [label for label, _ in expected]
        for position, (_, image) in enumerate(expected):
            assert images[position].mode == "RGB"
            assert np.array_equal(images[position], image.convert("RGB"))
    write_images(tmp_path / "again", iter(ITEMS), COUNTS, 3)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_the_file_is_that_of_safetensors_with_files_as_they_are_by_their_places(tmp_path):
    places, images = [(1, "b"), (0, "z"), (1, "a"), (0, "c")], list(map(coloured, range(4)))
    items = [("train", n, images[n], place) for n, place in enumerate(places)]
    write_images(tmp_path / "images", items, {"train": 4}, 4)
    ordered = [images[n] for n in (3, 1, 2, 0)]
    tensors = {
        "bytes": np.frombuffer(b"".join(ordered), np.uint8),
        "offsets": np.cumsum([0, *map(len, ordered)], dtype=np.int64),
        "labels": np.array([3, 1, 2, 0]),
        "split": np.ones(4, np.int64),
    }
    counts = {"pretrain": 0, "train": 4, "test": 0, "val": 0}
    save_file(tensors, tmp_path / "theirs", {"splits": json.dumps(counts)})
    assert (tmp_path / "images").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_memory_does_not_grow_with_the_images(tmp_path):
    # The rest of a file behind the image is stored with it, and not decoded.
    items = (("test", 0, coloured(n) + bytes(10**6), (-n,)) for n in range(60))
    tracemalloc.start()
    write_images(tmp_path / "images", items, {"test": 60}, 1)
    assert tracemalloc.get_traced_memory()[1] < 8 * 10**6
    tracemalloc.stop()
    assert (tmp_path / "images").stat().st_size > 60 * 10**6


class Member:
    """An image file as the sources give it."""

    def __init__(self, content):
        self.read = lambda: content

    def __str__(self):
        return "set.zip: 'cats/1.jpg'"


def jpeg():
    stream = io.BytesIO()
    picture(7, (60, 50)).save(stream, "JPEG")
    return stream.getvalue()


LAST = ITEMS[4]
WRONG = [
    (LAST, COUNTS | {"train": 4}, "{path}: 3 images in split 'train', expected 4"),
    (LAST, COUNTS | {"train": 2}, "{path}: 3 images in split 'train', expected 2"),
    (LAST, {"train": 3, "test": 1}, "{path}: 1 images in split 'pretrain', expected 0"),
    (("test", 3, picture(6)), COUNTS, "{path}: item 4: label 3, expected 0..2"),
    (("test", -1, picture(6)), COUNTS, "{path}: item 4: label -1, expected 0..2"),
    (("tset", 1, picture(6)), COUNTS, "{path}: item 4: unknown split 'tset'; did you mean 'test'"),
    (("test", 1, b"<html>Not found</html>"), COUNTS, "{path}: item 4: not a whole image ("),
    (("test", 1, encode(picture(8))[:-40]), COUNTS, "{path}: item 4: not a whole image ("),
    (("test", 1, Member(jpeg()[:-300])), COUNTS, "set.zip: 'cats/1.jpg': not a whole image ("),
]


@pytest.mark.parametrize(("item", "counts", "finding"), WRONG)
def test_what_is_wrong_is_named_and_nothing_is_written(tmp_path, item, counts, finding):
    path = tmp_path / "images"
    with pytest.raises(UserError) as caught:
        write_images(path, [*ITEMS[:4], item], counts, 3)
    assert str(caught.value).startswith(finding.format(path=path))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_whole_are_refused(path, tmp_path):
    whole, tensors = path.read_bytes(), load_file(path)
    save_file({"other": np.zeros(3)}, tmp_path / "foreign")
    zeros = tensors | {"bytes": np.zeros_like(tensors["bytes"])}
    save_file(zeros, tmp_path / "zeros", metadata={"splits": "{}"})
    foreign, zeros = ((tmp_path / name).read_bytes() for name in ("foreign", "zeros"))
    for content in (None, b"", whole[:-1], whole[:50], foreign, zeros):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(UserError) as caught:
            Images(path, "train")[0]
        message = str(caught.value)
        assert message.startswith(f"{path}: not a whole prepared data set (")
        assert message.endswith("); delete it and run again")
        assert "\n" not in message
