"""Files without a checksum may hold anything: each mistake in them is one line, no traceback."""

import dataclasses
import io
import tarfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_files import lines, mat, picture, records, repacked, unpacked
from made_sets import SETS
from scipy.io import loadmat
from small_rows import small, written
from test_paper_sets import prepare

from negmerge.errors import UserError

IMAGES = (".jpg", ".jpeg", ".ppm", ".png")


@pytest.fixture(scope="module")
def made_set(catalogue):
    """A function that gives a made set and its row, in which its files count as a user's own."""

    def give(name):
        made = SETS[name]()
        row = small(catalogue.datasets[name].model_dump(), made)
        return made, row | {"files": dict.fromkeys(row["files"], "a user's own file")}

    return give


def outcome(made, row, folder):
    """Prepare a set: the error without the folder's name, or None if all went well."""
    target, finding = folder / "prepared", None
    try:
        prepare(row, written(made, folder), target)
    except UserError as error:
        finding = str(error).replace(f"{folder}/", "")
    assert target.exists() == (finding is None)
    target.unlink(missing_ok=True)
    assert not [path for path in folder.iterdir() if path.name.startswith((".", "prepared"))]
    assert "\n" not in (finding or "")
    return finding


def parts(made):
    """List what can be damaged: file, member or None for a file that is no archive, and content."""
    for key, content in made.files.items():
        try:
            yield from ((key, member, inner) for member, inner in unpacked(content).items())
        except tarfile.TarError:
            yield key, None, content


def changed(made, key, member, content):
    """Return the set with another content at one place; None leaves a member out."""
    if member is not None:
        content = repacked(made.files[key], **{member: content})
    return dataclasses.replace(made, files=made.files | {key: content})


def each_line(change):
    return lambda content: b"\n".join(change(line) for line in content.splitlines())


DAMAGES = {
    "cut": lambda content: content[: len(content) // 2],
    "cut at its end": lambda content: content[:-9],
    "no text": lambda content: b"\xff\xfe" + content,
    "a column less": each_line(lambda line: line.rpartition(b" ")[0].rpartition(b";")[0]),
    "words for numbers": lambda content: content.translate(
        bytes.maketrans(b"0123456789", b"x" * 10)
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", SETS)
def test_damaged_lists_and_tables_are_one_line_at_most(made_set, tmp_path, name, damage):
    made, row = made_set(name)
    assert outcome(made, row, tmp_path) is None
    for key, member, content in parts(made):
        if not (member or "").lower().endswith(IMAGES):
            outcome(changed(made, key, member, damage(content)), row, tmp_path)


@pytest.mark.parametrize("name", SETS)
def test_an_image_that_cannot_be_decoded_is_named(made_set, tmp_path, name):
    made, row = made_set(name)
    wanted = [image for images in made.expected.values() for _, image in images]
    stored = [image for image in wanted if isinstance(image, bytes)]
    found = [part for part in parts(made) if part[2] in stored]
    for key, member, content in found[:2]:
        message = outcome(changed(made, key, member, content[: len(content) // 2]), row, tmp_path)
        assert message.startswith(f"{key}: {member!r}: not a whole image (")
    assert found or name in ("svhn", "mnist", "fashion-mnist", "cifar10", "cifar100")  # pixels


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(st.sampled_from(sorted(SETS)), st.data())
def test_other_bytes_anywhere_are_one_line_at_most(made_set, tmp_path, name, data):
    made, row = made_set(name)
    key = data.draw(st.sampled_from(sorted(made.files)))
    content = bytearray(made.files[key])
    # Archives have a time in them, so that their size is not always the same.
    places = st.floats(0, 1, exclude_max=True).map(lambda share: int(share * len(content)))
    for place in data.draw(st.lists(places, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    end = data.draw(places | st.just(len(content)))
    outcome(changed(made, key, None, bytes(content[:end])), row, tmp_path)


def add(text):
    return lambda content: content + lines(text)


def first_line(text):
    return lambda content: lines(text, *content.decode().splitlines()[1:])


def other_meta(**changes):
    """Make ImageNet's table of classes anew, with other columns."""

    def change(content):
        table = loadmat(io.BytesIO(content), squeeze_me=True)["synsets"]
        columns = {name: list(table[name]) for name in table.dtype.names} | changes
        return mat(synsets=records(**{k: v for k, v in columns.items() if v is not None}))

    return change


CUB, TINY, DEVKIT = "CUB_200_2011", "tiny-imagenet-200", "ILSVRC2012_devkit_t12/data"
TRUTH = f"{DEVKIT}/ILSVRC2012_validation_ground_truth.txt"
FINDINGS = [
    ("cars", "devkit", "devkit/cars_train_annos.mat", DAMAGES["cut at its end"],
     "devkit: devkit/cars_train_annos.mat: not a whole MATLAB file ("),
    ("cub", "images", f"{CUB}/images.txt", lambda _: None, f"images: holds no {CUB}/images.txt"),
    ("cub", "images", f"{CUB}/images.txt", first_line("1 a b"),
     f"images: {CUB}/images.txt: line 1 has 3 columns, expected 2"),
    ("gtsrb", "test-labels", "GT-final_test.csv", add("00009.ppm;53;54;6;5;48;49"),
     "test-labels: GT-final_test.csv: line 6 has 7 columns, expected 8"),
    ("tiny-imagenet", "images", f"{TINY}/train/n0/images/n0_0.JPEG", lambda _: picture(1),
     f"images: '{TINY}/train/n0/images/n0_0.JPEG': 'n0' is not a class of {TINY}/wnids.txt"),
    ("sun397", "lists", "Training_01.txt", add("/a/abbey/sun_no.jpg"),
     "images: lacks 1 files that it should hold: a/abbey/sun_no.jpg"),
    ("cifar10", "images", "cifar-10-batches-bin/test_batch.bin",
     lambda content: b"\x0c" + content[1:],
     "images: cifar-10-batches-bin/test_batch.bin: record 0 has label 12, expected 0..9"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "key", "member", "change", "finding"), FINDINGS)
def test_findings_name_file_and_member(made_set, tmp_path, name, key, member, change, finding):
    made, row = made_set(name)
    before = {(k, m): content for k, m, content in parts(made)}.get((key, member), b"")
    message = outcome(changed(made, key, member, change(before)), row, tmp_path)
    assert message.startswith(finding)
