"""The command `negmerge data`."""

import json
import subprocess
import sys

import pytest
import yaml

from negmerge.cli import main
from negmerge.jobs import plan


@pytest.fixture
def data(config, monkeypatch, capsys):
    """A function that runs the command: exit status, what it printed, and its errors."""
    monkeypatch.chdir(config.parent)

    def run(*words, **settings):
        if settings:
            (config / "config.yaml").write_text(yaml.safe_dump(settings))
        status = main(["data", *words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def sets(data, study="paper"):
    status, out, err = data(study, "--json")
    assert (status, err) == (0, "")
    return {row["name"]: row for row in json.loads(out)["sets"]}


def test_every_set_says_where_it_is_from(data, catalogue):
    paper = sets(data)
    assert {row["source"] for row in paper.values()} == {"merging-benchmark", "original"}
    assert [name for name, row in paper.items() if row["by_hand"]] == ["imagenet"]
    assert len(paper["imagenet"]["missing_by_hand"]) == 3
    assert paper["imagenet"]["unknown"] == ["ILSVRC2012_devkit_t12.tar.gz"]
    files = catalogue.datasets["svhn"].downloads.values()
    assert paper["svhn"]["bytes"] == sum(file.bytes for file in files)
    assert paper["svhn"]["licence"] == "for non-commercial use only"
    demo = sets(data, "demo").values()
    assert {row["source"] for row in demo} == {"made here", "files here"}
    assert not any(row["files"] or row["by_hand"] for row in demo)


def test_what_is_there_is_counted(data, config, catalogue):
    downloads = config.parent / "elsewhere" / "downloads"
    for name in ("mnist", "cars"):
        (downloads / name).mkdir(parents=True)
    (downloads / "mnist/train-labels-idx1-ubyte.gz").write_bytes(bytes(28881))
    (downloads / "mnist/t10k-labels-idx1-ubyte.gz").write_bytes(bytes(5))
    # Files that a person has put there count in place of a mirror.
    for file in catalogue.datasets["cars"].files.values():
        (downloads / "cars" / file.name).touch()
    (config / "config.yaml").write_text("{study: demo, data: elsewhere}")
    shown = sets(data)
    assert (shown["mnist"]["present"], shown["mnist"]["files"]) == (1, 4)
    keys = ("source", "by_hand", "missing_by_hand", "present", "files")
    assert [shown["cars"][key] for key in keys] == ["original", True, [], 0, 4]


def test_people_read_a_table(data):
    status, out, err = data("paper", data_sources={"cars": "parquet"})
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
def test_a_mistake_is_one_line(data, words, sources, parts):
    status, out, err = data(*words, data_sources=sources)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert all(part in err for part in parts)


@pytest.mark.parametrize("status", [0, 1])
def test_fetching_is_the_target_downloads(data, config, monkeypatch, status):
    (config.parent / "Snakefile").touch()
    commands = []

    def run(command):
        commands.append(command)
        return subprocess.CompletedProcess(command, status)

    monkeypatch.setattr(plan.subprocess, "run", run)
    ended, out, _ = data("demo", "--fetch")
    assert (ended, bool(out)) == (status, status == 0)
    start = [sys.executable, "-m", "snakemake", "--cores", "1"]
    assert commands == [[*start, "--config", "study=demo", "--", "downloads"]]
