"""Each source in the layout of its sets: from a server to batches, and from what is damaged."""

import gzip
import struct
import sys
import tarfile
from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_files import picture, repacked, small, unpacked, written
from made_mirrors import ARCHIVES, in_order, parquets, sample, shards
from made_sets import SETS
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from negmerge import plugins
from negmerge.data import fetch, train_val_split
from negmerge.data.augmentation import evaluation_transform
from negmerge.data.fetch import download
from negmerge.data.images import Images
from negmerge.data.loading import EvaluationBatches, Part
from negmerge.data.preparation import prepare
from negmerge.data.sources.archives import cut
from negmerge.errors import UserError
from negmerge.settings.datasets import Dataset, Datasets, prepared_from

TRANSFORM = evaluation_transform(8, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PARQUET = ("cars", "resisc45")
NAMES = ["First Class", "second-class", "third/class"]
DIGITS = [str(number) for number in range(10)]


def test_all_sets_and_mirrors_have_a_layout_here(catalogue):
    images = {name: row for name, row in catalogue.datasets.items() if not row.has_questions}
    assert set(SETS) == {name for name, row in images.items() if row.downloads}
    mirrors = {name: [mirror.name for mirror in row.mirrors] for name, row in images.items()}
    others = {name: ["parquet"] for name in PARQUET} | {"mnist": ["clip-benchmark"]}
    assert {name: called for name, called in mirrors.items() if called} == {
        name: ["merging-benchmark", *others.get(name, [])] for name in ARCHIVES
    }


@pytest.mark.parametrize("name", SETS)
def test_a_set_goes_from_a_server_to_batches(name, catalogue, server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSES", (0, 0))
    made, target = SETS[name](), tmp_path / "prepared"
    row = small(catalogue.datasets[name].model_dump(), made, server)
    assert {split for split, items in made.expected.items() if items} == set(row["splits"])
    paths = []
    for file in row["files"].values():
        paths.append(str(tmp_path / file["name"]))
        server.faults[file["name"]] = [100]
        download(paths[-1], file)
    prepare(name, row, paths, target)
    for split, expected in made.expected.items():
        images = Images(target, split)
        assert images.labels.tolist() == [label for label, _ in expected]
        for place, (_, image) in enumerate(expected):
            if isinstance(image, bytes):
                assert contents(images)[place][1] == image
                assert images[place].mode == "RGB"
            else:
                assert np.array_equal(images[place], image)
    labels = {split: [label for label, _ in items] for split, items in made.expected.items()}
    if "val" not in labels:
        training, validation = train_val_split(len(labels["train"]), name)
        labels["val"] = [labels["train"][place] for place in validation]
        labels["train"] = [labels["train"][place] for place in training]
    for part, expected in labels.items():
        batches = EvaluationBatches(Part(target, part, name), TRANSFORM, 4)
        assert [label for _, batch in batches for label in batch.tolist()] == expected
    # A file that is cut is refused before it is read.
    with open(paths[0], "r+b") as file:
        file.truncate(50)
    with pytest.raises(UserError, match=f"^{paths[0]}: not the right file: found "):
        prepare(name, row, paths, target)


def contents(images):
    return [
        (int(label), images._bytes[int(start) : int(end)].tobytes())
        for label, (start, end) in zip(images.labels, images._spans, strict=True)
    ]


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_gives_what_the_original_gives(name, original, mirror, tmp_path):
    made = SETS[name]()
    row = mirror(name, "merging-benchmark", made)
    (tmp_path / "mirror").mkdir()
    paths = written(ARCHIVES[name](made), tmp_path / "mirror")
    prepare(name, row, list(paths.values()), tmp_path / "prepared")
    tensors, expected = load_file(tmp_path / "prepared"), load_file(original(name, made))
    assert tensors.keys() == expected.keys()
    assert all(np.array_equal(values, expected[key]) for key, values in tensors.items())
    assert bool(row["differs"]) == (name == "eurosat")
    assert prepared_from(tmp_path / "prepared") == "merging-benchmark"
    assert prepared_from(tmp_path / "original") == "original"


ORDERS = [("cars", "stored"), ("cars", "file"), ("resisc45", "class-file")]


@pytest.mark.parametrize(("name", "order"), ORDERS)
def test_parquet_gives_the_original_s_images_by_class_names_and_file_names(
    name, order, original, mirror, tmp_path
):
    made = SETS[name]()
    row = mirror(name, "parquet", made, NAMES)
    row["options"] = row["options"] | {"order": order}
    theirs = ["first class", "Second_Class", "third class"]
    files = written(parquets(row, made, theirs), tmp_path)
    prepare(name, row, list(files.values()), tmp_path / "prepared")
    original(name, made)
    for split in row["splits"]:
        stored, expected = (
            contents(Images(tmp_path / place, split)) for place in ("prepared", "original")
        )
        assert (stored == expected) == (order != "stored")
        assert sorted(stored) == sorted(expected)
    assert "order of the images is another one" in row["differs"]


def test_shards_give_the_images_of_the_original_in_its_order(original, mirror, tmp_path):
    made = SETS["mnist"]()
    row = mirror("mnist", "clip-benchmark", made, DIGITS)
    files = written(shards(row, made, list(range(9, -1, -1))), tmp_path)
    # A list of shards as the hub sorts their names.
    row["options"]["files"]["train"].sort()
    prepare("mnist", row, list(files.values()), tmp_path / "prepared")
    original("mnist", made)
    for split in made.expected:
        images, expected = (Images(tmp_path / place, split) for place in ("prepared", "original"))
        assert images.labels.tolist() == expected.labels.tolist()
        for place in range(len(expected)):
            assert np.array_equal(images[place], expected[place])


@pytest.fixture(scope="module")
def made_set(catalogue):
    """A function that gives a made set and its row, in which its files count as a user's own."""

    def give(name):
        made = SETS[name]()
        row = small(catalogue.datasets[name].model_dump(), made)
        return made, row | {"files": dict.fromkeys(row["files"], "a user's own")}

    return give


def outcome(files, row, folder):
    """Prepare a set: the error without the folder's name, or None if all went well."""
    target, finding = folder / "prepared", None
    paths = written(files, folder)
    try:
        prepare("a set", row, [paths[name] for name in row["files"]], target)
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
    """Return the files with another content at one place; None leaves a member out."""
    if member is not None:
        content = repacked(made.files[key], **{member: content})
    return made.files | {key: content}


WORDS = bytes.maketrans(b"0123456789", b"x" * 10)


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


CUB, TINY = "CUB_200_2011/images.txt", "tiny-imagenet-200/train/n0/images/n0_0.JPEG"
MAT, BATCH = "devkit/cars_train_annos.mat", "cifar-10-batches-bin/test_batch.bin"
# Set, file, member, its new content, and how the finding begins.
FINDINGS = [
    ("cars", "devkit", MAT, lambda old: old[:-9], f"devkit: {MAT}: "),
    ("cub", "images", CUB, lambda old: None, f"images: holds no {CUB}"),
    ("cub", "images", CUB, lambda old: b"1 a b\n" + old,
     f"images: {CUB}: line 1 has 3 columns, expected 2"),
    ("gtsrb", "test-labels", "GT-final_test.csv", lambda old: old + b"9.ppm;5;6;5;4;4\n",
     "test-labels/GT-final_test.csv: line 6: 6 cells, expected 8"),
    ("gtsrb", "test-labels", "GT-final_test.csv", lambda old: old.translate(WORDS),
     "a set: not what the source 'gtsrb' reads: train, test, test-labels (ValueError: "),
    ("tiny-imagenet", "images", TINY, lambda _: picture(1), f"images: {TINY!r}: "),
    ("sun397", "lists", "Training_01.txt", lambda old: old + b"/a/abbey/sun_no.jpg\n",
     "images: lacks 1 files that it should hold: a/abbey/sun_no.jpg"),
    ("cifar10", "images", BATCH, lambda old: b"\x0c" + old[1:], "prepared: item "),
    ("mnist", "test-images", None, lambda old: old[:-9], "test-images: "),
    ("mnist", "test-images", None, lambda old: gzip.decompress(old)[:-1], "test-images: "),
    ("mnist", "test-labels", None, lambda _: struct.pack(">2I", 2049, 3) + bytes(3),
     "test-labels: 3 labels for 5 images"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "key", "member", "change", "finding"), FINDINGS)
def test_findings_name_file_and_member(made_set, tmp_path, name, key, member, change, finding):
    made, row = made_set(name)
    before = {(k, m): content for k, m, content in parts(made)}.get((key, member), b"")
    files = changed(made, key, member, change(before))
    assert outcome(files, row, tmp_path).startswith(finding)


# The names of the classes in a mirror of three classes, or a shard, and how the finding begins.
MIRRORED = [
    (["first class", "second class", "4th"], "train-0: '4th' is not a class"),
    (["first class", "second class"], "train-0: 1 classes are missing, such as 'third class'"),
    ([*NAMES, "third_class"], "train-0: a class name appears twice"),
    ({"s1.cls": b"1"}, "test-0: sample 's1' has the files cls, expected cls and one of jpeg, "),
    (sample("s1", 10, np.zeros((4, 4, 3), np.uint8)), "test-0: sample 's1': label 10, expected 0"),
]


@pytest.mark.parametrize(("theirs", "finding"), MIRRORED)
def test_findings_in_mirrors_name_file_and_class(theirs, finding, mirror, tmp_path):
    if isinstance(theirs, dict):
        made = SETS["mnist"]()
        row = mirror("mnist", "clip-benchmark", made, DIGITS)
        files = shards(row, made, list(range(10))) | {"test-0": in_order(theirs)}
    else:
        made = SETS["cars"]()
        row = mirror("cars", "parquet", made, NAMES)
        for items in made.expected.values():
            items[:] = [(min(label, len(theirs) - 1), image) for label, image in items]
        files = parquets(row, made, theirs)
    assert outcome(files, row, tmp_path).startswith(finding)


def test_parquet_needs_a_package(mirror, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    made = SETS["resisc45"]()
    row = mirror("resisc45", "parquet", made, NAMES)
    finding = outcome(parquets(row, made, NAMES), row, tmp_path)
    assert finding.startswith("a set: the source 'parquet' needs pyarrow")
    assert finding.endswith("pip install 'negmerge[parquet]'")


def read(source, files, **row):
    return list(plugins.source(source).read(files, {"options": {}} | row))


def test_the_first_images_of_a_split_may_be_taken(tmp_path):
    files = written(SETS["mnist"]().files, tmp_path)
    (tmp_path / "test-images").write_bytes(gzip.decompress((tmp_path / "test-images").read_bytes()))
    for first, count in ({"test": 2}, 2), ({"train": 2}, 5), ({"test": 9}, 5):
        assert len(read("idx", files, splits={"test": 5}, options={"first": first})) == count


def class_paths(*sizes):
    return [
        PurePosixPath(f"2750/c{k}/{n:04}.jpg") for k, size in enumerate(sizes) for n in range(size)
    ]


@given(st.lists(st.integers(4, 30), min_size=2, max_size=5), st.integers(0, 2**32 - 1))
def test_each_class_is_drawn_by_itself(sizes, seed):
    held_out = {"val": 2, "test": 0.25}
    splits = cut(class_paths(*sizes), held_out, seed, "x")
    first = cut(class_paths(sizes[0]), held_out, seed, "x")
    assert {path: splits[path] for path in first} == first
    drawn = list(splits.values())
    assert drawn.count("val") == 2 * len(sizes)
    assert drawn.count("test") == sum(round(0.25 * size) for size in sizes)
    with pytest.raises(UserError, match=r"^a.zip: '2750/c0' has 5 images, 6 of each class are"):
        cut(class_paths(5, 9), {"val": 3, "test": 3}, 0, "a.zip")


COLOURS = {
    "train/cat/2.png": 10,
    "train/cat/10.png": 20,
    "train/ant/1.png": 30,
    "test/cat/1.png": 40,
}


@pytest.mark.parametrize("kind", ["folder", "tar", "list"])
def test_images_of_one_s_own_are_labelled_by_their_sorted_classes(tmp_path, kind):
    for name, number in COLOURS.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(picture(number, "PNG"))
    files = {"images": "photos"}
    # Classes of the table are 0, 1 and 2: the last digits of the names.
    expected = [(0, 20), (1, 30), (2, 10)] if kind == "list" else [(0, 30), (1, 20), (1, 10)]
    if kind == "tar":
        with tarfile.open(tmp_path / "photos.tar", "w") as archive:
            archive.add(tmp_path / "photos", "photos")
        files = {"images": "photos.tar"}
    elif kind == "list":
        table = ["path,class,split", *(f"{n},{n[-5]},train" for n in COLOURS if n[1] == "r")]
        (tmp_path / "list.csv").write_text("\n".join([*table, "test/cat/1.png,2,test"]))
        files["list"] = "list.csv"
    row = {"title": "Mine", "source": "folder", "licence": "mine", "files": files}
    row = Datasets({"mine": Dataset.model_validate(row)}, [tmp_path])["mine"].contents()
    paths, target = [str(tmp_path / file) for file in files.values()], tmp_path / "prepared"
    prepare("mine", row, paths, target)
    images = Images(target, "train")
    reds = [images[place].getpixel((0, 0))[0] for place in range(3)]
    assert list(zip(images.labels.tolist(), reds, strict=True)) == expected
    if kind == "folder":
        # An image that comes after the plan is noticed.
        (tmp_path / "photos/train/cat/3.png").write_bytes(picture(5, "PNG"))
        with pytest.raises(UserError, match=r"4 images in split 'train', expected 3$"):
            prepare("mine", row, paths, target)


def pixels(items):
    return np.stack([np.asarray(image) for _, _, image in items])


def test_digits_are_those_of_scikit_learn():
    items = read("scikit-learn-digits", {}, splits={"pretrain": 2, "train": 3, "test": 1792})
    digits = load_digits()
    assert [split for split, _, _ in items[:6]] == ["pretrain"] * 2 + ["train"] * 3 + ["test"]
    assert [label for _, label, _ in items] == digits.target.tolist()
    assert np.array_equal(pixels(items), np.round(digits.images * 255 / 16))


def test_letters_and_fonts_take_turns_and_depend_on_the_seed():
    options = {"letters": "AB", "seed": 0, "jitter": 0.5}
    options["fonts"] = {"train": ["DejaVuSans", "cmr10"], "test": ["DejaVuSerif"]}

    def letters(**changes):
        return read("letters", {}, splits={"train": 8, "test": 2}, options=options | changes)

    assert [label for _, label, _ in letters()] == [0, 1] * 5
    first = pixels(letters())
    assert np.array_equal(pixels(letters()), first)
    assert not np.array_equal(pixels(letters(seed=1)), first)
    calm = pixels(letters(jitter=0))
    calm = calm > calm.max(axis=(1, 2), keepdims=True) / 2  # their brightness varies
    assert np.array_equal(calm[0], calm[4])  # A in the first font
    assert len(np.unique(calm[:4], axis=0)) == 4
    with pytest.raises(UserError, match=r"/Comic\.ttf: no such font"):
        letters(fonts={"train": ["Comic"], "test": ["Comic"]})
