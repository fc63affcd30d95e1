import json
import os
import platform
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from job_examples import BASE, BASES, EVALUATE, IMAGES, LIST, PREPARE, SCORE, change, run, write

from negmerge import __version__
from negmerge.errors import UserError
from negmerge.files import sha256
from negmerge.jobs.provenance import Provenance, find_record, read_record

RECORDS = {
    IMAGES: "data/provenance/cats/images.safetensors.json",
    BASE: "results/small/provenance/clip/base.safetensors.json",
    SCORE: "results/small/provenance/clip/cats/scores/best.json.json",
}


@pytest.fixture(autouse=True)
def made(tmp_path, monkeypatch):
    """A folder in which three steps have run."""
    monkeypatch.chdir(tmp_path)
    write(LIST, "1,2\n")
    for job in (PREPARE, BASES, EVALUATE):
        run(job)


def error(job):
    with pytest.raises(UserError) as caught:
        Provenance(job).begin()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_file_has_its_record_at_its_place():
    for path, place in RECORDS.items():
        assert find_record(Path(path)) == Path(place)
        assert read_record(Path(place)).sha256 == sha256(path)
    assert find_record(Path(LIST)) is None


def test_a_record_says_how_a_file_was_made():
    record = json.loads(Path(RECORDS[SCORE]).read_text())
    assert record["rule"] == "evaluate"
    assert record["wildcards"] == {"study": "small"}
    assert record["params"] == {"seed": 7, "code": "abc"}
    assert record["seed"] == 7
    assert record["versions"]["python"] == platform.python_version()
    assert record["versions"]["negmerge"] == __version__
    assert record["machine"]["device"] == "cpu"
    assert record["machine"]["threads"] == 1
    assert 0 <= record["seconds"] < 10
    age = datetime.now(UTC) - datetime.fromisoformat(record["started"])
    assert timedelta(0) <= age + timedelta(seconds=1) < timedelta(minutes=1)


def test_a_record_says_from_what_a_file_was_made():
    inputs = json.loads(Path(RECORDS[SCORE]).read_text())["inputs"]
    assert inputs == {
        IMAGES: {"sha256": sha256(IMAGES), "record": RECORDS[IMAGES]},
        BASE: {"sha256": sha256(BASE), "record": RECORDS[BASE]},
        LIST: {"sha256": sha256(LIST), "record": None},
    }


def test_what_a_score_says_of_itself_follows_the_names_of_the_rule():
    provenance = Provenance(EVALUATE)
    provenance.begin()
    assert provenance.made_from() == {
        "images": sha256(IMAGES),
        "base": sha256(BASE),
        "given": [sha256(LIST)],
    }


def test_a_job_that_fails_leaves_no_record_of_the_run_before():
    def fail(output, provenance):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run(BASES, fail)
    assert not Path(RECORDS[BASE]).exists()


def test_an_input_of_another_size_is_named():
    change(IMAGES, "made", "made by hand")
    assert error(BASES) == (
        f"{IMAGES}: not the file that prepare made: found 42 bytes, expected 34 bytes; delete it "
        f"and run again, or delete {RECORDS[IMAGES]} if the file is right"
    )


def test_an_input_with_another_letter_is_named():
    expected = sha256(IMAGES)
    change(IMAGES, "made", "mode")
    assert f"found sha256 {sha256(IMAGES)}, expected {expected}; " in error(BASES)


def test_a_file_that_is_meant_is_taken_without_its_record():
    change(IMAGES, "made", "mode")
    Path(RECORDS[IMAGES]).unlink()
    run(BASES)
    assert read_record(Path(RECORDS[BASE])).inputs == {
        IMAGES: {"sha256": sha256(IMAGES), "record": None}
    }


def test_another_time_alone_is_no_difference():
    os.utime(IMAGES, (1, 1))
    run(BASES)
    assert read_record(Path(RECORDS[BASE])).inputs[IMAGES]["sha256"] == sha256(IMAGES)


@pytest.mark.parametrize("touched", [False, True])
def test_an_input_with_the_size_and_time_of_its_record_is_not_read(monkeypatch, touched):
    if touched:  # as Snakemake does when a job has ended: only the next job reads it
        os.utime(IMAGES, (1, 1))
        Provenance(EVALUATE).begin()
    monkeypatch.setattr("negmerge.jobs.provenance.sha256", lambda path: pytest.fail(f"read {path}"))
    provenance = Provenance(BASES)
    provenance.begin()
    assert list(provenance.made_from()) == ["data"]


def test_a_folder_as_input_has_no_hash():
    shutil.rmtree("config")
    Path(LIST).mkdir(parents=True)
    run(EVALUATE)
    assert read_record(Path(RECORDS[SCORE])).inputs[LIST] == {"sha256": None, "record": None}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"outputs": 5}', '{"outputs": {}}'])
def test_a_record_that_is_none_is_named(text):
    write(RECORDS[IMAGES], text)
    assert error(BASES).startswith(f"{RECORDS[IMAGES]}: ")
