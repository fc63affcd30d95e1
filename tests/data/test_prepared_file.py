import tracemalloc

import numpy as np
import pytest
from made_files import picture
from safetensors.numpy import load_file, save_file

from negmerge.data.images import Spool, write_images


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_file_is_that_of_safetensors(tmp_path, count):
    random = np.random.default_rng(0)
    images = [random.bytes(size) for size in random.integers(0, 50, count)]
    labels = random.integers(0, 9, count)
    metadata = {"splits": '{"träin": 1, "test": 2}'}
    with Spool(tmp_path) as spool:
        for label, image in zip(labels.tolist(), images, strict=True):
            spool.add(label % 3, label, image)
        spool.write(tmp_path / "own", metadata)
    tensors = {
        "bytes": np.frombuffer(b"".join(images), np.uint8),
        "offsets": np.cumsum([0, *map(len, images)], dtype=np.int64),
        "labels": labels,
        "split": labels % 3,
    }
    save_file(tensors, tmp_path / "theirs", metadata)
    assert (tmp_path / "own").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"own", "theirs"}


def test_items_are_sorted_by_their_places(tmp_path):
    places = [(1, "b"), (0, "z"), (1, "a"), (0, "c")]
    images = [picture(n) for n in range(4)]
    items = [("train", n, images[n], place) for n, place in enumerate(places)]
    write_images(tmp_path / "images", items, {"train": 4}, 4)
    found = load_file(tmp_path / "images")
    ordered = [images[n] for n in (3, 1, 2, 0)]
    assert found["labels"].tolist() == [3, 1, 2, 0]
    assert found["bytes"].tobytes() == b"".join(ordered)
    assert found["offsets"].tolist() == np.cumsum([0, *map(len, ordered)]).tolist()


def test_memory_does_not_grow_with_the_images(tmp_path):
    # The rest of a file behind the image is stored with it, and not decoded.
    items = (("test", 0, picture(n) + bytes(10**6), (-n,)) for n in range(60))
    tracemalloc.start()
    write_images(tmp_path / "images", items, {"test": 60}, 1)
    assert tracemalloc.get_traced_memory()[1] < 8 * 10**6
    tracemalloc.stop()
    assert (tmp_path / "images").stat().st_size > 60 * 10**6
