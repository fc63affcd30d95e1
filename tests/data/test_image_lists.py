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


def fill(folder, files=FILES):
    """Make files of their own name; nothing is decoded here."""
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def pack(folder, target, inside=""):
    """Pack a folder into a zip or tar archive, in an order of no meaning."""
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=hash)
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            for path in files:
                archive.write(path, inside + path.relative_to(folder).as_posix())
    else:
        with tarfile.open(target, "w:gz") as archive:
            for path in files:
                archive.add(path, inside + path.relative_to(folder).as_posix())
    return target


@pytest.fixture
def photos(tmp_path):
    return fill(tmp_path / "photos", [*FILES, "train/cat/notes.txt", "README.md"])


def table(folder, *lines):
    path = folder / "list.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def refused(*places):
    with pytest.raises(UserError) as caught:
        list_images(*places)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_classes_and_files_are_in_the_order_of_torchvision(photos):
    found = list_images(photos)
    for split in ("train", "test"):
        theirs = ImageFolder(photos / split, allow_empty=True)
        expected = [
            (Path(path).relative_to(photos).as_posix(), theirs.classes[label])
            for path, label in theirs.samples
        ]
        assert [(image.name, image.class_name) for image in found.of(split)] == expected
    assert found.classes == ["Dog", "cat", "cat-fish"]
    assert found.counts == {"train": 6, "test": 2}
    assert found.class_counts("test") == {"Dog": 1, "cat": 1, "cat-fish": 0}


@pytest.mark.parametrize("inside", ["", "photos/"])
@pytest.mark.parametrize("name", ["photos.zip", "photos.tgz"])
def test_an_archive_lists_the_same_images(photos, tmp_path, name, inside):
    folder = list_images(photos)
    packed = list_images(pack(photos, tmp_path / name, inside))
    assert [image.name for image in packed.images] == [image.name for image in folder.images]
    assert (packed.classes, packed.digest) == (folder.classes, folder.digest)
    assert packed.images[0].member == inside + packed.images[0].name


def test_the_digest_changes_with_names_sizes_and_classes(photos):
    found = {list_images(photos).digest}
    (photos / "train/cat/10.jpg").write_text("longer than the name was")
    found.add(list_images(photos).digest)
    (photos / "train/cat/10.jpg").rename(photos / "train/cat/11.jpg")
    found.add(list_images(photos).digest)
    (photos / "train/cat/11.jpg").rename(photos / "train/Dog/11.jpg")
    found.add(list_images(photos).digest)
    assert len(found) == 4


def test_a_table_says_class_and_split(tmp_path):
    photos = fill(tmp_path / "photos", ["1.jpg", "2.jpg", "b/3.jpg", "4.jpg", "unused.jpg"])
    lines = ["path,class,split", "4.jpg,cat,test", "./b/3.jpg,dog,train", '1.jpg, "cat",train']
    found = list_images(photos, table(tmp_path, *lines, "2.jpg,dog,train"))
    named = [(image.name, image.class_name) for image in found.of("train")]
    assert named == [("1.jpg", "cat"), ("2.jpg", "dog"), ("b/3.jpg", "dog")]
    assert found.counts == {"train": 3, "test": 1}


def test_without_a_column_the_first_folder_is_the_split(photos, tmp_path):
    lines = ["class,path", "10,train/cat/10.jpg", "9,train/Dog/a.jpg", "9,test/cat/1.jpg"]
    found = list_images(photos, table(tmp_path, *lines))
    assert found.counts == {"train": 2, "test": 1}
    assert found.classes == ["9", "10"]  # as numbers


WRONG = {
    "images without a class": (["train/1.jpg"], "'train/1.jpg' lies in no class; expected train/C"),
    "a class without training images": (
        ["test/bird/1.jpg"],
        "class 'bird' has images in 'test', such as 'test/bird/1.jpg', but none in 'train'",
    ),
}


@pytest.mark.parametrize(("files", "message"), WRONG.values(), ids=WRONG)
def test_wrong_folders_are_named(photos, files, message):
    fill(photos, files)
    assert refused(photos).startswith(f"{photos}: {message}")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_without_images_is_named(photos, split):
    (photos / split / "bird").mkdir()
    (photos / split / "bird" / "notes.txt").touch()
    expected = f"{photos}/{split}/bird: the class has no images; fill the folder or delete it"
    assert refused(photos) == expected


def test_there_must_be_images_of_two_classes(tmp_path):
    missing = tmp_path / "missing"
    assert refused(missing) == (
        f"{missing}: no such folder or archive, but a data set is read from it"
    )
    empty = fill(tmp_path / "empty", ["train/cat/1.txt"])
    assert refused(empty).startswith(f"{empty}: holds no images; expected files .jpg, .jpeg, ")
    one = fill(tmp_path / "one", ["train/cat/1.jpg", "test/cat/1.jpg"])
    assert refused(one) == f"{one}: 1 classes, expected at least 2"


LINES = {
    "a file that is not there": ("train/cat/8.jpg,cat", "'train/cat/8.jpg' is no image in "),
    "a file twice": ("train/cat/10.jpg,dog", "'train/cat/10.jpg' is there twice"),
}


@pytest.mark.parametrize(("line", "message"), LINES.values(), ids=LINES)
def test_wrong_lines_of_a_table_are_named(photos, tmp_path, line, message):
    path = table(tmp_path, "path,class", "train/cat/10.jpg,cat", line)
    assert refused(photos, path).startswith(f"{path}: line 3")
    assert message in refused(photos, path)


def test_wrong_tables_are_named(photos, tmp_path):
    path = table(tmp_path, "file,class", "train/cat/10.jpg,cat")
    assert refused(photos, path) == (
        f"{path}: columns file, class; expected path, class and, unless paths begin with it, split"
    )
    path = table(tmp_path, "path,class,split", "train/cat/10.jpg,cat,training")
    assert refused(photos, path).startswith(f"{path}: line 2: unknown split 'training'; did you ")
    path.unlink()
    assert refused(photos, path).startswith(f"{path}: cannot be read: ")
    path.write_bytes(b"path,class\n\xff\xfe,cat\n")
    assert refused(photos, path).startswith(f"{path}: cannot be read: ")
