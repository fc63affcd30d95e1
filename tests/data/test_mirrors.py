"""Mirrors give the images of the originals, as far as their rows do not say otherwise."""

import sys

import pytest
from made_mirrors import ARCHIVES, file_names, parquets
from made_sets import SETS
from safetensors import safe_open
from safetensors.numpy import load_file

from negmerge.data.images import Images
from negmerge.data.mirrors import prepared_from
from negmerge.data.preparation import prepare
from negmerge.errors import UserError

PARQUET = ("cars", "resisc45")


def tensors(path):
    return {name: values.tolist() for name, values in load_file(path).items()}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_gives_what_the_reader_of_the_original_gives(
    name, original, mirror, fetched, tmp_path
):
    made = SETS[name]()
    row = mirror(name, "merging-benchmark", made, None)
    paths = fetched(row, ARCHIVES[name](made))
    prepare(name, row, paths, tmp_path / "prepared")
    assert tensors(tmp_path / "prepared") == tensors(original(name, made))
    with safe_open(tmp_path / "prepared", "numpy") as file:
        noted = file.metadata()
    assert noted["mirror"] == "merging-benchmark"
    assert bool(noted["differs"]) == (name == "eurosat")
    assert prepared_from(tmp_path / "prepared") == "merging-benchmark"
    assert prepared_from(tmp_path / "original") == "original"


def test_all_mirrors_have_a_layout_here(catalogue):
    mirrors = {n: [one.name for one in row.mirrors] for n, row in catalogue.datasets.items()}
    others = {name: ["parquet"] for name in PARQUET} | {"mnist": ["clip-benchmark"]}
    assert {name: found for name, found in mirrors.items() if found} == {
        name: ["merging-benchmark", *others.get(name, [])] for name in ARCHIVES
    }


NAMES = ["First Class", "second-class", "third/class"]


@pytest.mark.parametrize("name", PARQUET)
def test_parquet_gives_the_same_images_with_labels_by_their_names(
    name, original, mirror, fetched, tmp_path
):
    made = SETS[name]()
    row = mirror(name, "parquet", made, NAMES)
    theirs = ["first class", "Second_Class", "third class"]
    prepare(name, row, fetched(row, parquets(row, made, theirs)), tmp_path / "prepared")
    original(name, made)
    for split in row["splits"]:
        found, expected = Images(tmp_path / "prepared", split), Images(tmp_path / "original", split)
        assert contents(found) != contents(expected)
        assert sorted(contents(found)) == sorted(contents(expected))
    assert "order of the images is another one" in row["differs"]


def contents(images):
    return [
        (int(label), images._bytes[int(start) : int(end)].tobytes())
        for label, (start, end) in zip(images.labels, images._spans, strict=True)
    ]


@pytest.mark.parametrize(("name", "order"), [("cars", "file"), ("resisc45", "class-file")])
def test_file_names_bring_parquet_into_the_order_of_the_original(
    name, order, original, mirror, fetched, tmp_path
):
    made = SETS[name]()
    row = mirror(name, "parquet", made, NAMES)
    row["options"]["order"] = order
    files = parquets(row, made, NAMES, named=file_names(made))
    prepare(name, row, fetched(row, files), tmp_path / "prepared")
    expected = original(name, made)
    for split in row["splits"]:
        assert contents(Images(tmp_path / "prepared", split)) == contents(Images(expected, split))


CLASS_NAMES = [
    (["first class", "second class", "4th"],
     "'4th' is not a class of the data set in prompts.yaml"),
    (["first class", "second class"], "1 classes are missing, such as 'third class'"),
    (["first class", "second class", "third class", "third_class"],
     "a class name appears twice, so names do not tell the classes"),
]  # fmt: skip


@pytest.mark.parametrize(("theirs", "finding"), CLASS_NAMES)
def test_other_class_names_are_refused(theirs, finding, mirror, fetched, tmp_path):
    made = SETS["cars"]()
    row = mirror("cars", "parquet", made, NAMES)
    for items in made.expected.values():
        items[:] = [(min(label, len(theirs) - 1), image) for label, image in items]
    paths = fetched(row, parquets(row, made, theirs))
    with pytest.raises(UserError) as caught:
        prepare("cars", row, paths, tmp_path / "prepared")
    assert str(caught.value) == f"{paths[0]}: {finding}"


def test_parquet_needs_a_package(mirror, fetched, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "negmerge.data.sources.parquet", raising=False)
    made = SETS["resisc45"]()
    row = mirror("resisc45", "parquet", made, NAMES)
    paths = fetched(row, parquets(row, made, NAMES))
    with pytest.raises(UserError) as caught:
        prepare("resisc45", row, paths, tmp_path / "prepared")
    assert str(caught.value) == (
        "resisc45: the source 'parquet' needs pyarrow, which is not installed: "
        "pip install 'negmerge[parquet]'"
    )


def test_a_mirror_of_another_layout_is_refused(mirror, fetched, tmp_path):
    sun, cars = SETS["sun397"](), SETS["cars"]()
    row = mirror("sun397", "merging-benchmark", sun, None)
    (path,) = fetched(row, ARCHIVES["cars"](cars))
    with pytest.raises(UserError) as caught:
        prepare("sun397", row, [path], tmp_path / "prepared")
    assert str(caught.value) == f"{path}: holds no images at sun397/train/CLASS/"
    row = mirror("cars", "merging-benchmark", cars, None)
    (path,) = fetched(row, ARCHIVES["sun397"](sun))
    with pytest.raises(UserError) as caught:
        prepare("cars", row, [path], tmp_path / "prepared")
    assert str(caught.value) == f"{path}: holds no folder 'stanford_cars'"
    assert not (tmp_path / "prepared").exists()
