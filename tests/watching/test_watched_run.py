"""The status of the tiny study: where it has run, in a copy of its results, and while it runs."""

import json
import shutil
import time

from negmerge.cli import main

STUDY = "tiny"
RESULTS = f"results/{STUDY}"


def status(capsys):
    assert main(["status", STUDY, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_study_that_has_run(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(finished.folder)
    found = status(capsys)
    assert found["states"]["done"] == found["jobs"] > 60
    assert found["report"] == f"{RESULTS}/report.html"
    assert 0 < found["pace"]["hours"]["cpu"]["used"] < 1
    target = tmp_path / "status.html"
    assert main(["status", STUDY, "--html", str(target), "--every", "60"]) == 0
    assert f"{found['jobs']} of {found['jobs']} jobs done" in target.read_text()


def test_a_copy_of_its_results_alone(finished, checkout, tmp_path, monkeypatch, capsys):
    copy = checkout.copy(tmp_path / "laptop")
    monkeypatch.chdir(copy.folder)
    assert status(capsys)["states"]["done"] == 0
    ignored = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(finished.folder / RESULTS, copy.folder / RESULTS, ignore=ignored)
    found = status(capsys)
    assert found["states"]["done"] == found["jobs"]
    # The list of jobs is noted, and follows the study.
    copy.edit("config/studies/tiny.yaml", "{epochs: 1, learning", "{epochs: 2, learning")
    more = copy.folder / "config/studies/tiny.yaml"
    more.write_text(more.read_text().replace("points: {ls0: {},", "points: {ls2: {}, ls0: {},"))
    assert status(capsys)["jobs"] > found["jobs"]


def test_a_run_is_watched_and_a_failure_is_told(editable, monkeypatch, capsys):
    monkeypatch.chdir(editable.folder)
    assert status(capsys)["states"]["at work"] == 0
    place = f"{RESULTS}/clip/digits/vectors/m1.safetensors"
    run = editable.start("--cores", "1", "--forcerun", place, "--", place)
    try:
        deadline = time.monotonic() + 120
        while not (found := status(capsys))["at_work"]:
            assert time.monotonic() < deadline
            assert run.poll() is None
    finally:
        assert run.wait() == 0
    assert [one["job"] for one in found["at_work"]] == ["finetune, clip, digits, m1"]
    assert status(capsys)["states"]["at work"] == 0
    (editable.folder / f"{RESULTS}/clip/digits/merged/negmerge.safetensors").write_bytes(b"cut")
    score = f"{RESULTS}/clip/digits/scores/negmerge.json"
    assert editable.snakemake("--cores", "1", "--forcerun", score, "--", score).returncode == 1
    (failed,) = status(capsys)["failed"]
    assert failed["job"] == "sweep, clip, digits, negmerge"
    assert "not the file that merge made" in failed["line"]
