"""The tiny study is packed, unpacked where nothing has run, and gone on with there."""

import json
import os
import zipfile
from pathlib import Path

import pytest
from crate_validation import findings
from rocrate.rocrate import ROCrate

from negmerge.cli import main
from negmerge.files import sha256

STUDY = "tiny"
RESULTS = f"results/{STUDY}"
REPORT = f"{RESULTS}/report.html"
NUMBERS = ("scores", "sweeps", "selected", "searches", "sparsity", "tables", "figures")


def pack(folder, output, *words):
    """Pack the study of a folder by the command."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        assert main(["pack", STUDY, "-o", str(output), *words]) == 0
    finally:
        os.chdir(before)
    return output


@pytest.fixture(scope="module")
def archive(finished, tmp_path_factory):
    return pack(finished.folder, tmp_path_factory.mktemp("packed") / "study.zip")


@pytest.fixture
def clone(checkout, tmp_path, monkeypatch):
    """A copy of the workflow in which nothing has run, and this process in it."""
    copy = checkout.copy(tmp_path / "clone")
    monkeypatch.chdir(copy.folder)
    return copy


def test_numbers_and_records_are_packed_and_weights_are_named(archive, finished):
    with zipfile.ZipFile(archive) as opened:
        names = set(opened.namelist())
        about = json.loads(opened.read("handover.json"))
    made = {
        str(path.relative_to(finished.folder))
        for path in (finished.folder / RESULTS).rglob("*")
        if path.is_file() and path.relative_to(finished.folder / RESULTS).parts[0] != "logs"
    }
    packed = {name for name in names if name.startswith("results/")}
    assert {name for name in made if Path(name).parent.name in NUMBERS} <= packed
    assert {name for name in made if "/provenance/" in name or "/benchmarks/" in name} <= packed
    weights = made - packed
    assert {Path(name).suffix for name in weights} == {".safetensors"}
    assert {Path(name).parent.name for name in weights} >= {"vectors", "merged", "finetuned"}
    for name in weights:
        assert about["left_out"][name] == sha256(finished.folder / name)
    assert "config/studies/tiny.yaml" in names
    assert archive.stat().st_size < 3e6


def test_the_archive_is_a_provenance_run_crate(archive, monkeypatch):
    assert findings(archive, monkeypatch) == []
    crate = ROCrate(archive)
    assert crate.mainEntity.id == "Snakefile"
    jobs = [one for one in crate.contextual_entities if one.id.startswith("#job-")]
    rules = {job["instrument"]["name"] for job in jobs}
    assert {"prepare", "base", "finetune", "merge", "evaluate", "table", "report"} <= rules
    (job,) = (one for one in jobs if one["name"] == "finetune, tiny, clip, digits, m1")
    assert [made.id for made in job["result"]] == [
        f"#{RESULTS}/clip/digits/{folder}/m1.safetensors" for folder in ("finetuned", "vectors")
    ]
    assert all(len(made["sha256"]) == 64 for made in job["result"])


def test_the_same_study_gives_the_same_files(archive, finished, tmp_path):
    folder = pack(finished.folder, tmp_path / "folder")
    with zipfile.ZipFile(archive) as opened:
        places = [name for name in opened.namelist() if name != "ro-crate-metadata.json"]
        assert all((folder / name).read_bytes() == opened.read(name) for name in places)


def test_in_a_clone_nothing_is_to_be_made_and_tables_come_out_the_same(
    archive, finished, clone, capsys
):
    assert main(["unpack", str(archive)]) == 0
    assert "each has the SHA-256" in capsys.readouterr().out
    assert clone.planned(REPORT) == set()
    tables = sorted((clone.folder / RESULTS / "tables").iterdir())
    made = {path.name: path.read_bytes() for path in tables}
    assert made == {
        path.name: (finished.folder / RESULTS / "tables" / path.name).read_bytes()
        for path in tables
    }
    for path in tables:
        path.unlink()
    targets = [f"{RESULTS}/tables/{name}" for name in made if name.endswith(".md")]
    run = clone.snakemake("--cores", "2", "--", *targets)
    assert run.returncode == 0, run.stderr
    assert {path.name: path.read_bytes() for path in tables} == made
    assert main(["verify", RESULTS]) == 0
    assert "left out of an archive" in capsys.readouterr().out


def test_a_setting_that_is_changed_afterwards_makes_anew_what_follows_from_it(archive, clone):
    assert main(["unpack", str(archive)]) == 0
    clone.edit("config/studies/tiny.yaml", "title: Accuracy", "title: Right answers")
    assert clone.planned(REPORT) == {"table: accuracy", "report: tiny"}


def test_with_weights_and_images_the_study_goes_on(finished, clone, tmp_path):
    whole = pack(finished.folder, tmp_path / "whole.zip", "--weights", "--images")
    assert main(["unpack", str(whole)]) == 0
    clone.edit(
        "config/studies/tiny.yaml", "{pretrained: {}, task", "{pretrained: {}, magmax: {}, task"
    )
    clone.edit("config/studies/tiny.yaml", "      conflict: conflicting", "      magmax: MagMax")
    jobs = {job.split(":")[0] for job in clone.planned(f"{RESULTS}/tables/accuracy.md")}
    assert jobs == {"merge", "sweep", "select", "evaluate", "table"}
    run = clone.snakemake("--cores", "2", "--", f"{RESULTS}/tables/accuracy.md")
    assert run.returncode == 0, run.stderr


def test_the_folder_of_data_may_have_another_name(archive, clone):
    clone.edit("config/config.yaml", "data: data", "data: sets")
    assert main(["unpack", str(archive)]) == 0
    assert clone.planned(REPORT) == set()
    assert (clone.folder / "sets" / "benchmarks").is_dir()
    assert not (clone.folder / "data").exists()
