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
        return {row["name"]: row for row in json.loads(out)["sets"]}

    return run


def test_every_set_says_where_it_is_from(sets, catalogue):
    paper = sets()
    assert {row["source"] for row in paper.values()} == {"merging-benchmark", "original"}
    assert [name for name, row in paper.items() if row["by_hand"]] == ["imagenet"]
    assert len(paper["imagenet"]["missing_by_hand"]) == 3
    assert paper["imagenet"]["unknown"] == ["ILSVRC2012_devkit_t12.tar.gz"]
    files = catalogue.datasets["svhn"].downloads.values()
    assert paper["svhn"]["bytes"] == sum(file.bytes for file in files)
    assert paper["svhn"]["licence"] == "for non-commercial use only"
    demo = sets("demo")
    assert {row["source"] for row in demo.values()} == {"made here", "files here"}
    assert not any(row["files"] or row["by_hand"] for row in demo.values())


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
    shown = sets()["cars"]
    assert (shown["source"], shown["by_hand"], shown["missing_by_hand"]) == ("original", True, [])
    assert (shown["present"], shown["files"]) == (0, 4)


def test_people_read_a_table(data, folder):
    (folder / "config" / "config.yaml").write_text("{data_sources: {cars: parquet}}")
    status, out, err = data("paper")
    assert (status, err) == (0, "")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if " of " in line}
    assert rows["cars"][1:7] == ["parquet", "no", "1.98", "0", "of", "4"]
    assert rows["imagenet"][2:6] == ["yes", "155", "+", "?"]
    assert rows["ViT-B-32"][3:] == ["0.605", "0", "of", "1"]
    assert "mirror: cars: " in out
    assert "by hand: imagenet: ILSVRC2012_img_train.tar, " in out


@pytest.mark.parametrize(
    ("words", "sources", "parts"),
    [
        (["papers"], {}, ["papers.yaml", "'paper'"]),
        (["paper"], {"cars": "parket"}, ["config.yaml", "data_sources.cars", "'parquet'"]),
        (["demo", "--fetch"], {}, ["Snakefile"]),
    ],
)
def test_a_mistake_is_one_line(data, folder, words, sources, parts):
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump({"data_sources": sources}))
    status, out, err = data(*words)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert all(part in err for part in parts)


@pytest.mark.parametrize("status", [0, 1])
def test_fetching_is_the_target_downloads(data, folder, monkeypatch, status):
    (folder / "Snakefile").touch()
    commands = []

    def run(command):
        commands.append(command)
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(arrival.subprocess, "run", run)
    ended, out, _ = data("demo", "--fetch")
    assert (ended, bool(out)) == (status, status == 0)
    start = [sys.executable, "-m", "snakemake", "--cores", "1"]
    assert commands == [[*start, "--config", "study=demo", "--", "downloads"]]
