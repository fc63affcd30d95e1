"""Images of one's own are prepared in the order of their list, from a folder and from archives."""

import tarfile
import zipfile

import pytest
from PIL import Image

from negmerge.data.images import Images, write_images
from negmerge.data.sources.folder import read
from negmerge.errors import UserError
from negmerge.settings.datasets import Dataset, Datasets

ROW = {"title": "Mine", "source": "folder", "licence": "mine"}
COLOURS = {
    "train/cat/2.png": (10, 0, 0),
    "train/cat/10.png": (20, 0, 0),
    "train/ant/1.png": (30, 0, 0),
    "test/cat/1.png": (40, 0, 0),
}


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for name, colour in COLOURS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), colour).save(folder / name)
    return folder


def prepare(tmp_path, **files):
    """Prepare a row; return its images by split as (label, red)."""
    row = Datasets({"mine": Dataset.model_validate(ROW | {"files": files})}, [tmp_path])["mine"]
    content = row.contents()
    target = tmp_path / "images.safetensors"
    places = {name: str(tmp_path / file) for name, file in files.items()}
    write_images(target, read(places, content), content["splits"], content["classes"])
    found = {}
    for split in content["splits"]:
        images = Images(target, split)
        reds = [images[place].getpixel((0, 0))[0] for place in range(len(images))]
        found[split] = list(zip(images.labels.tolist(), reds, strict=True))
    return found


EXPECTED = {"train": [(0, 30), (1, 20), (1, 10)], "test": [(1, 40)]}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_labels_number_the_sorted_classes(photos, tmp_path, kind):
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
            for name in reversed(COLOURS):
                archive.write(photos / name, name)
    elif kind == "tar":
        with tarfile.open(tmp_path / "photos.tar", "w") as archive:
            archive.add(photos, "photos")
    place = "photos" if kind == "folder" else f"photos.{kind}"
    assert prepare(tmp_path, images=place) == EXPECTED


def test_a_table_may_say_class_and_split(photos, tmp_path):
    lines = ["path,class,split", *(f"{n},{n[-5]},train" for n in COLOURS if n.startswith("train"))]
    (tmp_path / "list.csv").write_text("\n".join([*lines, "test/cat/1.png,2,test"]))
    found = prepare(tmp_path, images="photos", list="list.csv")
    # Classes 0, 1 and 2 are the last digits of the names.
    assert found == {"train": [(0, 20), (1, 30), (2, 10)], "test": [(2, 40)]}


def test_a_file_that_is_no_image_is_named(photos, tmp_path):
    (photos / "train/cat/2.png").write_bytes(b"no image")
    with pytest.raises(UserError) as caught:
        prepare(tmp_path, images="photos")
    assert str(caught.value) == (
        f"{photos}: 'train/cat/2.png': not a whole image (not a format that Pillow reads)"
    )


def test_an_image_that_comes_after_the_plan_is_noticed(photos, tmp_path):
    row = Datasets(
        {"mine": Dataset.model_validate(ROW | {"files": {"images": "photos"}})}, [tmp_path]
    )
    content = row["mine"].contents()
    Image.new("RGB", (4, 3)).save(photos / "train/cat/3.png")
    target = tmp_path / "images.safetensors"
    with pytest.raises(UserError, match=r"4 images in split 'train', expected 3$"):
        write_images(target, read({"images": str(photos)}, content), content["splits"], 2)
