"""Images of one's own are listed in ImageFolder's order, and what cannot be listed is named."""

import tarfile
import zipfile
from pathlib import Path

import pytest
from torchvision.datasets import ImageFolder

from negmerge.data.image_lists import list_images
from negmerge.errors import UserError

FILES = [
    "train/cat/10.jpg",
    "train/cat/9.JPEG",
    "train/cat/young/1.png",
    "train/cat-fish/2.jpg",
    "train/Dog/z.webp",
    "train/Dog/a.jpg",
    "test/cat/1.jpg",
    "test/Dog/2.jpg",
]


def fill(folder, files):
    """Make files of their own name; nothing is decoded here."""
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


@pytest.fixture
def photos(tmp_path):
    return fill(tmp_path / "photos", [*FILES, "train/cat/notes.txt", "README.md"])


def table(folder, *lines):
    path = folder / "list.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_classes_and_files_are_in_the_order_of_torchvision(photos):
    listed = list_images(photos)
    for split in ("train", "test"):
        theirs = ImageFolder(photos / split, allow_empty=True)
        expected = [
            (Path(path).relative_to(photos).as_posix(), theirs.classes[label])
            for path, label in theirs.samples
        ]
        assert [(image.name, image.class_name) for image in listed.of(split)] == expected
    assert listed.classes == ["Dog", "cat", "cat-fish"]
    assert listed.counts == {"train": 6, "test": 2}
    assert listed.class_counts("test") == {"Dog": 1, "cat": 1, "cat-fish": 0}


@pytest.mark.parametrize("inside", ["", "photos/"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_lists_the_same_images(photos, tmp_path, kind, inside):
    packed = tmp_path / f"photos.{kind}"
    with zipfile.ZipFile(packed, "w") if kind == "zip" else tarfile.open(packed, "w") as archive:
        for path in filter(Path.is_file, sorted(photos.rglob("*"), reverse=True)):
            name = inside + path.relative_to(photos).as_posix()
            (archive.write if kind == "zip" else archive.add)(path, name)
    expected, listed = list_images(photos), list_images(packed)
    assert [image.name for image in listed.images] == [image.name for image in expected.images]
    assert (listed.classes, listed.digest) == (expected.classes, expected.digest)
    assert listed.images[0].member == inside + listed.images[0].name


def test_the_digest_changes_with_names_sizes_and_classes(photos):
    digests = {list_images(photos).digest}
    (photos / "train/cat/10.jpg").write_text("longer than the name was")
    digests.add(list_images(photos).digest)
    (photos / "train/cat/10.jpg").rename(photos / "train/cat/11.jpg")
    digests.add(list_images(photos).digest)
    (photos / "train/cat/11.jpg").rename(photos / "train/Dog/11.jpg")
    digests.add(list_images(photos).digest)
    assert len(digests) == 4


def test_a_table_says_class_and_split(photos, tmp_path):
    own = fill(tmp_path / "own", ["1.jpg", "2.jpg", "b/3.jpg", "4.jpg", "unused.jpg"])
    lines = ["path,class,split", "4.jpg,cat,test", "./b/3.jpg,dog,train", '1.jpg, "cat",train']
    listed = list_images(own, table(tmp_path, *lines, "2.jpg,dog,train"))
    named = [(image.name, image.class_name) for image in listed.of("train")]
    assert named == [("1.jpg", "cat"), ("2.jpg", "dog"), ("b/3.jpg", "dog")]
    assert listed.counts == {"train": 3, "test": 1}
    # Without a column, the first folder is the split; classes that are numbers are sorted as such.
    lines = ["class,path", "10,train/cat/10.jpg", "9,train/Dog/a.jpg", "9,test/cat/1.jpg"]
    listed = list_images(photos, table(tmp_path, *lines))
    assert (listed.counts, listed.classes) == ({"train": 2, "test": 1}, ["9", "10"])


HEAD = "path,class,split"
CAT = "train/cat/10.jpg,cat,train"
WRONG = [
    (["train/1.jpg"], None, "{photos}: 'train/1.jpg' lies in no class; expected train/CLASS/FILE"),
    (["traning/a/1.jpg"], None, "{photos}: 'traning/a/1.jpg': unknown split 'traning'; did you"),
    (["test/bird/1.jpg"], None, "{photos}: class 'bird' has images in 'test', such as 'test/bird/"),
    (["train/bird/notes"], None, "{photos}/train/bird: the class has no images; fill the folder"),
    ([], [HEAD, "train/cat/1.jpg,cat,train"], "{list}: line 2: 'train/cat/1.jpg' is no image in "),
    ([], [HEAD, CAT, CAT], "{list}: line 3: 'train/cat/10.jpg' is there twice"),
    ([], [HEAD, "train/cat/10.jpg,cat,training"], "{list}: line 2: unknown split 'training'; did "),
    ([], [HEAD, "train/cat/10.jpg,,train"], "{list}: line 2: path 'train/cat/10.jpg', class ''; "),
    ([], [HEAD, f"{CAT},1"], "{list}: line 2: 4 cells, expected 3"),
    ([], [HEAD, CAT], "{list}: 1 classes, expected at least 2"),
    ([], ["path,class,splitt", f"{CAT},train"], "{list}: line 1: unknown column 'splitt'"),
    ([], ["file,class", "a,b"], "{list}: line 1: no column 'path'; found ['file', 'class']"),
]


@pytest.mark.parametrize(("files", "lines", "finding"), WRONG)
def test_what_cannot_be_listed_is_named(photos, tmp_path, files, lines, finding):
    fill(photos, files)
    listed = lines and table(tmp_path, *lines)
    with pytest.raises(UserError) as caught:
        list_images(photos, listed)
    assert str(caught.value).startswith(finding.format(photos=photos, list=listed))


def test_places_that_cannot_be_read_are_named(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bytes.csv").write_bytes(b"path,class\n\xff\xfe,cat\n")
    for place, table, finding in (
        ("no", None, "no: no such folder or archive"),
        ("empty", None, "empty: holds no images; expected files .jpg, "),
        ("photos", "bytes.csv", "bytes.csv: not whole, or not what it should be (Unicode"),
        ("photos", "no.csv", "no.csv: cannot be read: "),
    ):
        with pytest.raises(UserError) as caught:
            list_images(tmp_path / place, table and tmp_path / table)
        assert str(caught.value).startswith(f"{tmp_path}/{finding}")
