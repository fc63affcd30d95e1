import json
import os
import platform
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from job_examples import BASE, BASES, IMAGES, LIST, SCORE, SCORES, TEXT, change, run, run_all, write

from negmerge import __version__
from negmerge.errors import UserError
from negmerge.files import sha256
from negmerge.jobs.provenance import Provenance, find_record, read_record

RECORDS = {
    IMAGES: "data/provenance/cats/images.safetensors.json",
    BASE: "results/small/provenance/clip/base.safetensors.json",
    TEXT: "results/small/provenance/clip/text.safetensors.json",
    SCORE: "results/small/provenance/clip/cats/scores/best.json.json",
}


@pytest.fixture(autouse=True)
def made(tmp_path, monkeypatch):
    """A folder in which three steps have run."""
    monkeypatch.chdir(tmp_path)
    run_all()


def begun(job):
    provenance = Provenance(job)
    provenance.begin()
    return provenance


def test_each_file_has_the_record_of_its_job_at_its_place():
    for path, place in RECORDS.items():
        assert find_record(Path(path)) == Path(place)
        assert read_record(Path(place))["outputs"][path]["sha256"] == sha256(path)
    assert Path(RECORDS[TEXT]).resolve() == Path(RECORDS[BASE]).resolve()
    assert find_record(Path(LIST)) is None


def test_a_record_says_how_and_from_what_a_file_was_made():
    record = json.loads(Path(RECORDS[SCORE]).read_text())
    assert record["rule"] == "score"
    assert record["wildcards"] == {"study": "small", "experiment": "clip"}
    assert record["params"] == {"seed": 7, "code": "abc"}
    assert record["versions"]["python"] == platform.python_version()
    assert record["versions"]["negmerge"] == __version__
    assert record["machine"]["device"] == "cpu"
    assert record["machine"]["threads"] == 1
    assert record["seconds"] >= 0
    assert datetime.fromisoformat(record["started"]) <= datetime.now(UTC)
    assert record["inputs"] == {
        IMAGES: {"sha256": sha256(IMAGES), "record": RECORDS[IMAGES]},
        BASE: {"sha256": sha256(BASE), "record": RECORDS[BASE]},
        LIST: {"sha256": sha256(LIST), "record": None},
    }


def test_a_job_that_fails_leaves_no_record_of_the_run_before():
    begun(BASES)
    assert find_record(Path(BASE)) is find_record(Path(TEXT)) is None


def test_an_input_that_is_another_file_is_named_until_its_record_is_gone():
    expected = sha256(IMAGES)
    change(IMAGES, "made", "mode")
    with pytest.raises(UserError, match=f"^{IMAGES}: ") as caught:
        begun(BASES)
    parts = ("prepare", sha256(IMAGES), expected, RECORDS[IMAGES])
    assert all(part in str(caught.value) for part in parts)
    Path(RECORDS[IMAGES]).unlink()
    run(BASES)
    inputs = read_record(Path(RECORDS[BASE]))["inputs"]
    assert inputs == {IMAGES: {"sha256": sha256(IMAGES), "record": None}}


@pytest.mark.parametrize("touched", [False, True])
def test_an_input_with_the_size_and_time_of_its_record_is_not_read(monkeypatch, touched):
    if touched:  # as Snakemake does when a job has ended: only the next job reads it
        os.utime(IMAGES, (1, 1))
        begun(SCORES)
    monkeypatch.setattr("negmerge.jobs.provenance.sha256", lambda path: pytest.fail(f"read {path}"))
    assert list(begun(BASES).made_from()) == ["data"]


def test_a_folder_as_input_has_no_hash():
    shutil.rmtree("config")
    Path(LIST).mkdir(parents=True)
    run(SCORES)
    inputs = read_record(Path(RECORDS[SCORE]))["inputs"]
    assert inputs[LIST] == {"sha256": None, "record": None}


def test_a_record_that_is_none_is_named():
    write(RECORDS[IMAGES], "{}")
    with pytest.raises(UserError, match=f"^{RECORDS[IMAGES]}: "):
        begun(BASES)
