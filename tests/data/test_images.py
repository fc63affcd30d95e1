import io
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from negmerge.data.images import Images, encode, write_images
from negmerge.errors import UserError


def picture(seed, size=(9, 7), mode="RGB"):
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    return Image.fromarray(pixels)


def same(one, other):
    return one.size == other.size and np.array_equal(one, other)


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


def test_images_come_back_pixel_for_pixel_in_their_order(path):
    for split in COUNTS:
        expected = [(label, image) for name, label, image in ITEMS if name == split]
        images = Images(path, split)
        assert len(images) == len(expected) == COUNTS[split]
        assert images.labels.tolist() == [label for label, _ in expected]
        for position, (_, image) in enumerate(expected):
            assert images[position].mode == "RGB"
            assert same(images[position], image.convert("RGB"))


def test_encoded_images_are_stored_as_they_are(tmp_path):
    stream = io.BytesIO()
    picture(1).save(stream, "JPEG")
    write_images(tmp_path / "images", [("train", 0, stream.getvalue())], {"train": 1}, 1)
    assert load_file(tmp_path / "images")["bytes"].tobytes() == stream.getvalue()
    assert same(Images(tmp_path / "images", "train")[0], Image.open(stream).convert("RGB"))


def test_equal_sets_give_equal_bytes(path, tmp_path):
    write_images(tmp_path / "again", iter(ITEMS), COUNTS, 3)
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("counts", "finding"),
    [
        (COUNTS | {"train": 4}, "3 images in split 'train', expected 4"),
        (COUNTS | {"train": 2}, "3 images in split 'train', expected 2"),
        ({"train": 3, "test": 1}, "1 images in split 'pretrain', expected 0"),
    ],
)
def test_wrong_counts_are_refused(tmp_path, counts, finding):
    with pytest.raises(UserError) as caught:
        write_images(tmp_path / "images", ITEMS, counts, 3)
    assert str(caught.value) == f"{tmp_path / 'images'}: {finding}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range_are_refused(tmp_path, label):
    items = [*ITEMS, ("test", label, picture(6))]
    with pytest.raises(UserError) as caught:
        write_images(tmp_path / "images", items, COUNTS, 3)
    assert str(caught.value) == f"{tmp_path / 'images'}: item 5: label {label}, expected 0..2"


def jpeg():
    stream = io.BytesIO()
    picture(7, (60, 50)).save(stream, "JPEG")
    return stream.getvalue()


BROKEN = {
    "no image": b"<html>Not found</html>",
    "cut JPEG": jpeg()[:-300],
    "cut PNG": encode(picture(8))[:-40],
}


@dataclass(frozen=True)
class InArchive:
    """An image file as the sources give it."""

    content: bytes

    def __str__(self):
        return "set.zip: 'cats/1.jpg'"

    def read(self):
        return self.content


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_an_image_that_cannot_be_decoded_is_named_and_nothing_is_written(tmp_path, content):
    names = {f"{tmp_path / 'images'}: item 5": content, "set.zip: 'cats/1.jpg'": InArchive(content)}
    for name, image in names.items():
        with pytest.raises(UserError) as caught:
            write_images(tmp_path / "images", [*ITEMS, ("test", 0, image)], COUNTS, 3)
        assert str(caught.value).startswith(f"{name}: not a whole image (")
        assert "\n" not in str(caught.value)
        assert not list(tmp_path.iterdir())


def test_files_that_are_not_whole_are_refused(path, tmp_path):
    whole = path.read_bytes()
    save_file({"other": np.zeros(3)}, tmp_path / "foreign")
    foreign = (tmp_path / "foreign").read_bytes()
    for content in (b"", whole[:-1], whole[:50], foreign):
        path.write_bytes(content)
        with pytest.raises(UserError) as caught:
            Images(path, "train")
        message = str(caught.value)
        assert message.startswith(f"{path}: not a whole prepared data set (")
        assert message.endswith("); delete it and run again")
        assert "\n" not in message
    path.unlink()
    with pytest.raises(UserError, match="not a whole prepared data set"):
        Images(path, "train")


def change_array(path, name, change):
    """Change an array of a prepared data set, the header and the rest as they were."""
    arrays = load_file(path)
    arrays[name] = change(arrays[name])
    save_file(arrays, path, metadata={"splits": "{}"})


def refused(read):
    with pytest.raises(UserError) as caught:
        read()
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith("; delete it and run again")
    return message


def test_bytes_that_are_no_image_are_refused(path):
    change_array(path, "bytes", np.zeros_like)
    images = Images(path, "train")
    message = refused(lambda: images[0])
    assert message.startswith(f"{path}: not a whole prepared data set (image 0 of train: ")
