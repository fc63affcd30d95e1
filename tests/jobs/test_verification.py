import json
import os
import shutil
from pathlib import Path

import pytest
from job_examples import BASE, BASES, IMAGES, LIST, SCORE, change, example_job, run, run_all, write

from negmerge.cli import main
from negmerge.files import sha256, write_json

STUDY = "results/small"
RECORD = f"{STUDY}/provenance/clip/base.safetensors.json"


@pytest.fixture(autouse=True)
def made(tmp_path, monkeypatch):
    """A folder in which three steps have run, from images to a score."""
    folder = tmp_path / "workflow"
    folder.mkdir()
    monkeypatch.chdir(folder)
    run_all()
    return folder


def verify(capsys, *words):
    """Run the command: exit status and lines."""
    status = main(["verify", *(words or (STUDY,))])
    printed = capsys.readouterr()
    assert printed.err == ""
    return status, printed.out.splitlines()


def misfit(capsys, *words):
    """The file, the problem and the command of a study that does not fit."""
    status, (line, command) = verify(capsys, *words)
    assert status == 1
    return *line.split(": ", 1), command.removeprefix("to go on: ")


def remake(name):
    return f"snakemake --cores all --forcerun {name} -- {name}"


def test_a_study_that_fits(capsys):
    for place in ("logs/x.log", "benchmarks/x.tsv", "clip/.m1.state.pt"):
        write(f"{STUDY}/{place}", "x")
    assert verify(capsys) == (0, [f"{STUDY}: all fits, 5 files, 0.0 MB"])
    status, lines = verify(capsys, STUDY, "--json")
    report = json.loads("\n".join(lines))
    assert (status, report.pop("bytes") > 0) == (0, True)
    assert report == {"study": STUDY, "fits": True, "files": 5, "dropped": 0, "finding": None}


@pytest.mark.parametrize("path", [IMAGES, BASE, SCORE])
def test_a_changed_file_is_named_though_its_size_and_time_are_the_same(capsys, path):
    before, expected = os.stat(path), sha256(path)
    text = Path(path).read_text()
    Path(path).write_text(text[:-3] + "X" + text[-2:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    problem = f"sha256 {sha256(path)}, its record says {expected}"
    assert misfit(capsys) == (path, problem, remake(path))


FORGED = f"{STUDY}/clip/cats/scores/forged.json"


@pytest.mark.parametrize(
    ("damage", "file", "problem", "remade"),
    [
        (lambda: Path(BASE).unlink(), BASE, "it is missing, but base made it", BASE),
        (lambda: Path(LIST).unlink(), LIST, f"it is missing, but {SCORE} was made from", SCORE),
        (lambda: change(LIST, "1,2", "1,3"), SCORE, f"made from another {LIST} than", SCORE),
        (lambda: run(BASES, "other settings: "), SCORE, f"made from another {BASE} than", SCORE),
        (lambda: write(FORGED, "{}"), FORGED, "it has no record", FORGED),
        (lambda: Path(RECORD).unlink(), BASE, "it has no record", BASE),
    ],
)
def test_what_does_not_fit_is_named_with_what_to_make_anew(capsys, damage, file, problem, remade):
    damage()
    named, reason, command = misfit(capsys)
    assert (named, command) == (file, remake(remade))
    assert reason.startswith(problem)


def test_a_download_is_fetched_again(capsys):
    archive = "data/downloads/cats/a b.zip"
    run(example_job("download", "data/logs/download.log", [archive]))
    run(example_job("prepare", "data/logs/prepare/cats.log", [IMAGES], files=[archive]))
    run(BASES)
    change(archive, "made", "mode")
    command = f"rm -f '{archive}' && snakemake --cores all -- '{archive}'"
    assert misfit(capsys)[::2] == (archive, command)


def test_checkpoints_that_no_job_needs_and_what_an_archive_left_out_are_counted(capsys):
    vector = f"{STUDY}/clip/cats/vectors/m1.safetensors"
    job = example_job("finetune", f"{STUDY}/logs/finetune.log", [vector], base=BASE)
    marked = ["results/*/*/*/vectors/*.safetensors"]
    job.config = {"checkpoints": "needed", "intermediate": marked}
    run(job)
    known = {path: sha256(path) for path in (BASE, IMAGES)}
    Path(vector).unlink()
    line = "files that are gone, needed by no job or left out of an archive: "
    assert verify(capsys)[1][1] == f"{line}1"
    for path in known:
        Path(path).unlink()
    # Not every file may go.
    assert misfit(capsys)[0] in known
    write_json(f"{STUDY}/.left-out.json", known)
    status, lines = verify(capsys)
    assert (status, lines[1]) == (0, f"{line}3")
    write_json(f"{STUDY}/.left-out.json", known | {BASE: "0" * 64})
    assert misfit(capsys)[0] == BASE


def test_a_study_is_verified_from_anywhere(made, tmp_path, monkeypatch, capsys):
    moved = tmp_path / "elsewhere"
    shutil.move(made, moved)
    monkeypatch.chdir(tmp_path)
    assert verify(capsys, f"elsewhere/{STUDY}")[0] == 0
    monkeypatch.chdir(moved / STUDY)
    change(moved / BASE, "made", "mode")
    assert misfit(capsys, ".")[0] == BASE


def test_a_folder_without_records_is_a_mistake(capsys):
    assert main(["verify", "results"]) == 2
    assert capsys.readouterr().err.startswith("error: results: no records in results/provenance")
