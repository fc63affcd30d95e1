"""The command `negmerge data`."""

import json
import subprocess
import sys

import pytest
import yaml

from negmerge.cli import main
from negmerge.jobs import arrival


@pytest.fixture
def folder(config, monkeypatch):
    monkeypatch.chdir(config.parent)
    return config.parent


@pytest.fixture
def data(folder, capsys):
    """A function that runs the command: exit status, what it printed, and its errors."""

    def run(*words):
        status = main(["data", *words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.fixture
def sets(data):
    def run(study="paper"):
        status, out, err = data(study, "--json")
        assert (status, err) == (0, "")
        return {one["name"]: one for one in json.loads(out)["sets"]}

    return run


def test_every_set_says_where_it_is_from(sets, catalogue):
    found = sets()
    assert found["cars"]["source"] == found["sun397"]["source"] == "merging-benchmark"
    assert {one["source"] for one in found.values()} == {"merging-benchmark", "original"}
    assert [name for name, one in found.items() if one["by_hand"]] == ["imagenet"]
    assert found["imagenet"]["missing_by_hand"] == [
        "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz"
    ]  # fmt: skip
    assert found["imagenet"]["unknown"] == ["ILSVRC2012_devkit_t12.tar.gz"]
    files = catalogue.datasets["svhn"].downloads.values()
    assert found["svhn"]["bytes"] == sum(file.bytes for file in files)
    assert found["cars"]["bytes"] == 2_010_000_000
    assert found["svhn"]["licence"] == "for non-commercial use only"
    found = sets("demo")
    assert {name: one["source"] for name, one in found.items()} == {
        "digits": "made here",
        "fashion": "files here",
        "fashion-small": "files here",
        "letters": "made here",
    }
    assert not any(one["files"] or one["by_hand"] for one in found.values())


def test_what_is_there_is_counted(sets, folder):
    place = folder / "elsewhere" / "downloads" / "mnist"
    place.mkdir(parents=True)
    (folder / "config" / "config.yaml").write_text("{study: demo, data: elsewhere}")
    (place / "train-labels-idx1-ubyte.gz").write_bytes(bytes(28881))
    (place / "t10k-labels-idx1-ubyte.gz").write_bytes(bytes(5))
    assert (sets()["mnist"]["present"], sets()["mnist"]["files"]) == (1, 4)
    # Files that a person has put there count in place of a mirror.
    cars = folder / "elsewhere" / "downloads" / "cars"
    cars.mkdir()
    row = yaml.safe_load((folder / "config" / "datasets.yaml").read_text())["cars"]
    for file in row["files"].values():
        (cars / file["name"]).touch()
    found = sets()["cars"]
    assert (found["source"], found["by_hand"], found["missing_by_hand"]) == ("original", True, [])
    assert (found["present"], found["files"]) == (0, 4)


def test_people_read_a_table(data, folder):
    (folder / "config" / "config.yaml").write_text("{data_sources: {cars: parquet}}")
    status, out, err = data("paper")
    assert (status, err) == (0, "")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if " of " in line}
    assert rows["cars"][1:7] == ["parquet", "no", "1.98", "0", "of", "4"]
    assert rows["sun397"][1:7] == ["merging-benchmark", "no", "12.6", "0", "of", "1"]
    assert rows["imagenet"][2:6] == ["yes", "155", "+", "?"]
    assert rows["ViT-B-32"][1:] == [
        "timm/vit_base_patch32_clip_224.openai", "no", "0.605", "0", "of", "1"
    ]  # fmt: skip
    assert "mirror: cars: the order of the images is another one, so other" in out
    assert "by hand: imagenet: ILSVRC2012_img_train.tar, " in out
    assert "and of unknown size: imagenet/ILSVRC2012_devkit_t12.tar.gz" in out


def test_a_mistake_is_one_line(data, folder):
    assert data("papers")[0] == 1
    (folder / "config" / "config.yaml").write_text("{data_sources: {cars: parket}}")
    status, out, err = data("paper")
    assert (status, out) == (1, "")
    assert err.startswith("error: config.yaml: data_sources.cars: unknown source 'parket'; did you")
    status, out, err = data("demo", "--fetch")
    assert (status, out) == (1, "")
    assert err == "error: no Snakefile in this folder; run the command in the workflow's folder\n"


@pytest.mark.parametrize("status", [0, 1])
def test_fetching_is_the_target_downloads(data, folder, monkeypatch, status):
    (folder / "Snakefile").touch()
    asked = []

    def run(command):
        asked.append(command)
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(arrival.subprocess, "run", run)
    found, out, _ = data("demo", "--fetch")
    assert found == status
    assert asked == [
        [sys.executable, "-m", "snakemake", "--cores", "1", "--config", "study=demo", "--",
         "downloads"]
    ]  # fmt: skip
    assert bool(out) == (status == 0)


def test_it_starts_without_large_packages(folder):
    code = (
        "import sys; from negmerge.cli import main; main(['data', 'paper']); "
        "print('loaded:', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.rpartition("loaded: ")[2].split()
    assert "negmerge.jobs.arrival" in loaded
    assert not {"torch", "pandas", "PIL", "snakemake", "pyarrow"} & set(loaded)
