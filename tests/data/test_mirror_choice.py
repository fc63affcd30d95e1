"""From which files a data set is made."""

import json

import pytest
from safetensors.numpy import save_file

from negmerge.data.mirrors import choose, differences
from negmerge.errors import UserError
from negmerge.settings.study import load_study

FILES = {
    "devkit": "car_devkit.tgz",
    "train-images": "cars_train.tgz",
    "test-images": "cars_test.tgz",
    "test-labels": "cars_test_annos_withlabels.mat",
}


@pytest.fixture
def chosen(catalogue, tmp_path):
    def run(name="cars", asked=None, known=catalogue):
        mirror = choose(name, known, tmp_path, asked)
        return mirror and mirror.name

    return run


@pytest.fixture
def put(tmp_path):
    """A function that puts the original's files of Cars where downloads lie."""

    def run(*keys):
        folder = tmp_path / "downloads" / "cars"
        folder.mkdir(parents=True, exist_ok=True)
        for key in keys:
            (folder / FILES[key]).touch()

    return run


@pytest.fixture
def prepared(tmp_path):
    def run(**noted):
        (tmp_path / "cars").mkdir(exist_ok=True)
        metadata = {"splits": json.dumps({})} | noted
        save_file({}, tmp_path / "cars" / "images.safetensors", metadata)

    return run


def test_a_mirror_stands_in_for_files_by_hand_until_all_are_there(chosen, put):
    assert chosen() == "merging-benchmark"
    put("devkit", "train-images", "test-images")
    assert chosen() == "merging-benchmark"
    put("test-labels")
    assert chosen() is None


@pytest.mark.parametrize("name", ["eurosat", "resisc45", "svhn", "imagenet", "digits"])
def test_an_original_that_can_be_fetched_or_has_no_mirror_counts(chosen, name):
    assert chosen(name) is None


def test_a_prepared_set_stays_with_what_it_was_made_from(chosen, put, prepared, tmp_path):
    prepared()
    assert chosen() is None
    prepared(mirror="parquet")
    put(*FILES)
    assert chosen() == "parquet"
    (tmp_path / "cars" / "images.safetensors").write_bytes(b"\xff" * 20)
    assert chosen() is None


def test_the_user_may_choose(chosen, prepared):
    assert chosen(asked={"cars": "parquet"}) == "parquet"
    assert chosen(asked={"cars": "original", "sun397": "merging-benchmark"}) is None
    assert chosen("eurosat", {"eurosat": "merging-benchmark"}) == "merging-benchmark"
    prepared(mirror="merging-benchmark")
    assert chosen(asked={"cars": "parquet"}) == "parquet"


def test_the_user_chooses_what_there_is(chosen):
    with pytest.raises(UserError) as caught:
        chosen(asked={"cars": "parquets"})
    assert str(caught.value) == (
        "config.yaml: data_sources.cars: unknown source 'parquets'; did you mean 'parquet'? valid: "
        "merging-benchmark, original, parquet"
    )


def test_what_decides_the_images_of_a_mirror(catalogue):
    row = catalogue.datasets["cars"]
    archive, parquet = row.mirrors
    assert catalogue.contents("cars") == row.contents()
    assert "mirrors" not in row.contents()
    found = catalogue.contents("cars", parquet)
    assert found["class_names"] == catalogue.prompts["cars"].classes
    assert (found["source"], found["name"], found["splits"]) == ("parquet", "parquet", row.splits)
    # Neither another address nor a better estimate prepares anything anew.
    (file,) = archive.files.values()
    changed = file.model_copy(update={"urls": ["https://example.org/x"], "about_bytes": 1})
    other = archive.model_copy(update={"files": {"images": changed}})
    assert catalogue.contents("cars", other) == catalogue.contents("cars", archive)


def test_only_what_a_table_shows_is_said_to_differ(config, catalogue):
    study = load_study(config, "paper", options=False)
    assert "cars" in study.datasets_of(study.tables["table1"])
    assert "imagenet" in study.datasets_of(study.tables["table1"])
    assert study.datasets_of(study.tables["table2"]) == ["cifar10"]
    archive, parquet = catalogue.datasets["cars"].mirrors
    assert differences({"cars": archive, "dtd": None}) == []
    assert differences({"cars": parquet, "dtd": None}) == [
        "cars (mirror parquet): the order of the images is another one, so other images are drawn "
        "for validation."
    ]
