"""Files that somebody damaged or replaced are found before they are used, and named."""

import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from negmerge.cli import main
from negmerge.errors import UserError
from negmerge.files import sha256
from negmerge.jobs.provenance import Provenance, find_record

DIGITS, TRIAL = "results/tiny/clip/digits", "results/tiny/resnet/trial1"
# Artefacts of several kinds: a file, and one that is made from it.
KINDS = {
    "images": ("data/tiny-fashion/images.safetensors", f"{TRIAL}/split.json"),
    "merged": (f"{DIGITS}/merged/negmerge.safetensors", f"{DIGITS}/sparsity/sparsity.json"),
    "sweep": (f"{DIGITS}/sweeps/m1.csv", f"{DIGITS}/selected/task-arithmetic.json"),
    "table": ("results/tiny/tables/accuracy.md", "results/tiny/report.html"),
}


def flip_a_bit(path):
    """A file that can still be read, with another number or letter in it."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(("file", "made"), KINDS.values(), ids=KINDS)
def test_a_job_names_it_before_it_uses_it(editable, monkeypatch, file, made):
    monkeypatch.chdir(editable.folder)
    flip_a_bit(Path(file))
    record = json.loads(find_record(Path(made)).read_text())
    assert file in record["inputs"]
    places = {"log": ["results/tiny/logs/x.log"], "output": ["results/tiny/x"]}
    with pytest.raises(UserError) as caught:
        Provenance(SimpleNamespace(input=list(record["inputs"]), **places)).begin()
    line = str(caught.value)
    assert line.startswith(f"{file}: not the file that ")
    assert "; delete it and run again" in line
    assert "\n" not in line


def test_a_finished_study_fits_and_its_scores_say_what_they_were_made_from(finished, capsys):
    assert main(["verify", str(finished.folder / "results/tiny")]) == 0
    (score,) = json.loads((finished.folder / f"{DIGITS}/scores/negmerge.json").read_text())
    merged = finished.folder / f"{DIGITS}/merged/negmerge.safetensors"
    assert score["made_from"]["candidates"] == [sha256(merged)]


def test_the_command_of_verify_mends_a_study(editable, finished, capsys):
    file = "results/tiny/tables/accuracy.csv"
    flip_a_bit(editable.folder / file)
    results = editable.folder / "results/tiny"
    assert main(["verify", str(results), "--json"]) == 1
    program, *words = shlex.split(json.loads(capsys.readouterr().out)["finding"]["command"])
    assert program == "snakemake"
    run = editable.snakemake(*words)
    assert run.returncode == 0, run.stderr
    assert main(["verify", str(results)]) == 0
    assert editable.artefacts() == finished.artefacts()
