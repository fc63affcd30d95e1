import json
import os
import shutil
from pathlib import Path

import pytest
from job_examples import BASE, BASES, EVALUATE, IMAGES, LIST, PREPARE, SCORE, change, run, write

from negmerge.cli import main
from negmerge.files import sha256, write_json

STUDY = "results/small"
REPORT = f"{STUDY}/report.html"
TEXT = BASE.replace("base", "text")
RECORD = f"{STUDY}/provenance/clip/base.safetensors.json"


def write_score(output, provenance):
    write_json(output, [{"forget": 5, "made_from": provenance.made_from()}])


@pytest.fixture(autouse=True)
def made(tmp_path, monkeypatch):
    """A folder in which three steps have run, from images to a score."""
    folder = tmp_path / "workflow"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write(LIST, "1,2\n")
    run(PREPARE)
    run(BASES)
    run(EVALUATE, write_score)
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
    file, _, problem = line.partition(": ")
    return file, problem, command.removeprefix("to go on: ")


def remake(name):
    return f"snakemake --cores all --forcerun {name} -- {name}"


def test_a_study_that_fits(capsys):
    status, lines = verify(capsys)
    assert status == 0
    assert lines == ["results/small: all fits, 5 files, 0.0 MB"]


def test_a_report_for_programs(capsys):
    status, lines = verify(capsys, STUDY, "--json")
    report = json.loads("\n".join(lines))
    assert status == 0
    size = sum(os.stat(path).st_size for path in (IMAGES, BASE, TEXT, SCORE, LIST))
    assert report == {
        "study": STUDY,
        "fits": True,
        "files": 5,
        "bytes": size,
        "dropped": 0,
        "finding": None,
    }
    change(BASE, "made", "mode")
    status, lines = verify(capsys, STUDY, "--json")
    report = json.loads("\n".join(lines))
    assert (status, report["fits"]) == (1, False)
    assert report["finding"]["file"] == BASE
    assert report["finding"]["command"] == remake(BASE)


@pytest.mark.parametrize("path", [IMAGES, BASE, TEXT, SCORE])
def test_a_changed_file_is_named_though_its_size_and_time_are_the_same(capsys, path):
    before, expected = os.stat(path), sha256(path)
    text = Path(path).read_text()
    Path(path).write_text(text[:-3] + "X" + text[-2:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    problem = f"sha256 {sha256(path)}, its record says {expected}"
    assert misfit(capsys) == (path, problem, remake(path))


def test_a_cut_file_is_named(capsys):
    size = os.stat(BASE).st_size
    os.truncate(BASE, 3)
    assert misfit(capsys)[:2] == (BASE, f"3 bytes, its record says {size}")


def test_a_missing_file_is_named(capsys):
    Path(BASE).unlink()
    assert misfit(capsys) == (BASE, f"it is missing, but has a record, {RECORD}", remake(BASE))


def test_the_first_in_the_order_of_making_is_named(capsys):
    for path in (SCORE, BASE, IMAGES):
        change(path, "m", "n")
    assert misfit(capsys)[0] == IMAGES


def test_an_input_that_was_made_anew_is_told_from_one_that_is_wrong(capsys):
    old = sha256(BASE)
    run(BASES, lambda output, provenance: write(output, "made with other settings"))
    problem = f"made from another {BASE} than is there now, sha256 {old}"
    assert misfit(capsys) == (SCORE, problem, remake(SCORE))


def test_a_changed_source_is_told_by_what_was_made_from_it(capsys):
    old = sha256(LIST)
    change(LIST, "1,2", "1,3")
    problem = f"made from another {LIST} than is there now, sha256 {old}"
    assert misfit(capsys) == (SCORE, problem, remake(SCORE))


def test_a_missing_source_is_named(capsys):
    Path(LIST).unlink()
    problem = f"it is missing, but {SCORE} was made from it; put it back"
    assert misfit(capsys) == (LIST, problem, remake(SCORE))


@pytest.mark.parametrize("path", [IMAGES, BASE, TEXT, SCORE])
def test_a_missing_record_is_said(capsys, path):
    folder = path.split("/")[0] if path == IMAGES else STUDY
    record = path.replace(folder, f"{folder}/provenance", 1) + ".json"
    Path(record).unlink()
    file, problem, command = misfit(capsys)
    assert (file, command) == (path, remake(path))
    assert problem == f"its record is missing, {record}; if no rule makes this file, delete it"


def test_a_file_that_no_job_has_made_is_named(capsys):
    write(f"{STUDY}/clip/cats/scores/forged.json", "{}")
    assert misfit(capsys)[0] == f"{STUDY}/clip/cats/scores/forged.json"


def test_logs_times_and_saved_states_have_no_record(capsys):
    for place in ("logs/x.log", "benchmarks/x.tsv", "clip/.m1.state.safetensors"):
        write(f"{STUDY}/{place}", "x")
    assert verify(capsys)[0] == 0


def test_a_damaged_record_is_named_with_its_file(capsys):
    write(RECORD, "{")
    file, problem, _ = misfit(capsys)
    assert file == BASE
    assert problem.startswith("its record cannot be read: ")


def test_a_score_that_says_something_else_than_its_record_is_named(capsys):
    def forge(output, provenance):
        write_json(output, [{"forget": 5, "made_from": {"base": "0" * 64}}])

    run(EVALUATE, forge)
    assert misfit(capsys)[:2] == (SCORE, "its made_from is not what its record says")


def test_the_command_also_makes_the_report_that_is_there(capsys):
    report = type(EVALUATE)(**vars(EVALUATE) | {"log": [f"{STUDY}/logs/report.log"]})
    report.output = type(EVALUATE.output)(html=REPORT)
    report.input = type(EVALUATE.input)(scores=[SCORE])
    run(report)
    change(BASE, "made", "mode")
    assert misfit(capsys)[2] == f"{remake(BASE)} {REPORT}"


def test_a_download_is_fetched_again(capsys):
    archive = "data/downloads/cats/a b.zip"
    download = type(PREPARE)(**vars(PREPARE) | {"rule": "download"})
    download.output = type(PREPARE.output)(file=archive)
    prepare = type(PREPARE)(**vars(PREPARE) | {"input": type(PREPARE.input)(files=[archive])})
    for job in (download, prepare, BASES):
        run(job)
    run(EVALUATE, write_score)
    assert verify(capsys)[0] == 0
    change(archive, "made", "mode")
    file, _, command = misfit(capsys)
    assert file == archive
    assert command == f"rm -f '{archive}' && snakemake --cores all -- '{archive}'"


def test_checkpoints_that_no_job_needs_any_more_are_counted(capsys):
    vector = f"{STUDY}/clip/cats/vectors/m1.safetensors"
    config = {"checkpoints": "needed", "intermediate": ["results/*/*/*/vectors/*.safetensors"]}
    job = type(BASES)(**vars(BASES) | {"rule": "finetune", "config": config})
    job.output = type(BASES.output)(vector=vector)
    run(job)
    Path(vector).unlink()
    status, lines = verify(capsys)
    assert status == 0
    assert lines[1] == "files that are gone, needed by no job or left out of an archive: 1"
    # Not every file may go.
    Path(BASE).unlink()
    assert misfit(capsys)[0] == BASE


def test_a_study_is_verified_from_anywhere(made, tmp_path, monkeypatch, capsys):
    moved = tmp_path / "elsewhere"
    shutil.move(made, moved)
    monkeypatch.chdir(tmp_path)
    assert verify(capsys, f"elsewhere/{STUDY}")[0] == 0
    monkeypatch.chdir(moved / STUDY)
    assert verify(capsys, ".")[0] == 0
    change(moved / BASE, "made", "mode")
    assert misfit(capsys, ".")[0] == BASE


@pytest.mark.parametrize("folder", ["results/none", "results", "config"])
def test_a_folder_without_records_is_a_mistake(folder, capsys):
    assert main(["verify", folder]) == 2
    err = capsys.readouterr().err
    assert err == (
        f"error: {folder}: no records in {folder}/provenance, so there is nothing to verify\n"
    )


def test_files_that_an_archive_left_out_are_counted_if_it_knows_them(capsys):
    known = {path: sha256(path) for path in (BASE, IMAGES)}
    for path in known:
        Path(path).unlink()
    assert misfit(capsys)[0] == IMAGES
    write_json(f"{STUDY}/.left-out.json", known)
    status, lines = verify(capsys)
    assert (status, lines[1].rpartition(" ")[2]) == (0, "2")
    write_json(f"{STUDY}/.left-out.json", known | {BASE: "0" * 64})
    assert misfit(capsys)[0] == BASE
