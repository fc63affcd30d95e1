"""The tiny study is packed, unzipped where nothing has run, and gone on with there."""

import contextlib
import io
import json
import os
import shutil
import urllib.request
import zipfile
from datetime import datetime
from email.message import Message
from pathlib import Path
from urllib.response import addinfourl

import pytest
import requests
from rocrate_validator import models, services

from negmerge.cli import main
from negmerge.files import sha256

RESULTS = "results/tiny"
REPORT = f"{RESULTS}/report.html"
STUDY = "config/studies/tiny.yaml"
# https://w3id.org/ro/crate/1.1/context, version 1.1.3, without line breaks; CC0.
CONTEXT = Path(__file__).with_name("ro-crate-1.1-context.json")


def pack(folder, output, *words):
    """Pack the study of a folder by the command."""
    with contextlib.chdir(folder):
        assert main(["pack", "tiny", "-o", str(output), *words]) == 0
    return output


def go_on(archive, clone):
    """Unzip as `unzip -o` does, with the times in the archive, and accept the files."""
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(clone.folder)
        for info in opened.infolist():
            modified = datetime(*info.date_time).timestamp()
            os.utime(clone.folder / info.filename, (modified, modified))
    run = clone.snakemake("--touch", "--cores", "1", "--", REPORT)
    assert run.returncode == 0, run.stderr


@pytest.fixture(scope="module")
def archive(finished, tmp_path_factory):
    return pack(finished.folder, tmp_path_factory.mktemp("packed") / "study.zip")


@pytest.fixture
def clone(checkout, tmp_path):
    """A copy of the workflow in which nothing has run."""
    return checkout.copy(tmp_path / "clone")


def test_numbers_and_records_are_packed_and_weights_are_named(archive, finished):
    with zipfile.ZipFile(archive) as opened:
        packed = set(opened.namelist())
        left_out = json.loads(opened.read(f"{RESULTS}/.left-out.json"))
    made = [path for path in (finished.folder / RESULTS).rglob("*") if path.is_file()]
    missing = {str(path.relative_to(finished.folder)) for path in made} - packed
    missing = {name for name in missing if not name.startswith(f"{RESULTS}/logs/")}
    assert {Path(name).suffix for name in missing} == {".safetensors"}
    assert {"vectors", "merged", "finetuned"} <= {Path(name).parent.name for name in missing}
    assert {name: left_out[name] for name in missing} == {
        name: sha256(finished.folder / name) for name in missing
    }
    outcomes = f"{RESULTS}/clip/digits/outcomes/negmerge.safetensors"
    times = "data/benchmarks/prepare/digits.tsv"
    assert {outcomes, times, STUDY, "config/models.yaml"} <= packed


def test_a_validator_takes_the_archive_for_a_workflow_run_crate(archive, monkeypatch):
    # It asks for one file of the internet, and does so in two ways.
    headers = Message()
    headers["Content-Type"] = "application/ld+json"

    def answer(session, request, **_):
        response = requests.Response()
        response.status_code, response.url, response.headers = 200, request.url, headers
        response._content = CONTEXT.read_bytes()
        return response

    class Answers(urllib.request.HTTPSHandler):
        def https_open(self, request):
            content = io.BytesIO(CONTEXT.read_bytes())
            response = addinfourl(content, headers, request.full_url, 200)
            response.msg = "OK"
            return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", answer)
    monkeypatch.setattr(urllib.request, "_opener", urllib.request.build_opener(Answers))
    settings = services.ValidationSettings(
        rocrate_uri=str(archive),
        profile_identifier="workflow-run-crate-0.5",
        requirement_severity=models.Severity.REQUIRED,
        no_cache=True,
    )
    issues = services.validate(settings).get_issues()
    assert [str(issue.message) for issue in issues] == []


def test_nothing_is_to_be_made_until_something_changes(archive, clone, monkeypatch, capsys):
    go_on(archive, clone)
    assert clone.planned(REPORT) == set()
    monkeypatch.chdir(clone.folder)
    assert main(["verify", RESULTS]) == 0
    assert "left out of an archive" in capsys.readouterr().out
    clone.edit(STUDY, "title: Accuracy", "title: Right answers")
    assert clone.planned(REPORT) == {"table: accuracy", "report: tiny"}
    clone.edit(STUDY, "title: Right answers", "title: Accuracy")
    table = Path(RESULTS, "tables", "accuracy.md")
    content = table.read_bytes()
    table.unlink()
    clone.make(str(table))
    assert table.read_bytes() == content


def test_with_weights_and_images_the_study_goes_on(editable, clone, tmp_path):
    # As the file of a point that diverged may be.
    empty = Path(RESULTS, "clip", "digits", "vectors", "empty.safetensors")
    (editable.folder / empty).write_bytes(b"")
    shutil.copytree(editable.folder / "data", clone.folder / "data")
    go_on(pack(editable.folder, tmp_path / "whole.zip", "--weights"), clone)
    assert (clone.folder / empty).read_bytes() == b""
    clone.edit(STUDY, "{pretrained: {}, task", "{pretrained: {}, magmax: {}, task")
    clone.edit(STUDY, "      conflict: conflicting", "      magmax: MagMax")
    jobs = {job.split(":")[0] for job in clone.planned(f"{RESULTS}/tables/accuracy.md")}
    assert {"merge", "table"} <= jobs
    assert not {"prepare", "pretrain", "base", "finetune"} & jobs


def test_what_cannot_be_packed(editable, tmp_path, monkeypatch, capsys):
    def refused():
        assert main(["pack", "tiny", "-o", str(output)]) == 1
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err.removeprefix("error: ")

    monkeypatch.chdir(editable.folder)
    output = tmp_path / "tiny.zip"
    output.write_bytes(b"of somebody")
    assert refused().startswith(f"{output}: exists already; ")
    assert output.read_bytes() == b"of somebody"
    output.unlink()
    Path(f"{RESULTS}/clip/digits/scores/negmerge.json").unlink()
    Path(REPORT).unlink()
    assert refused().startswith(f"{REPORT}: jobs are still to do for it; ")
    editable.edit(STUDY, "title: Accuracy", "titel: Accuracy")
    assert refused().startswith(f"{STUDY}: ")
    assert list(tmp_path.glob("*.zip")) == []
