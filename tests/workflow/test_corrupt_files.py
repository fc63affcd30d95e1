"""Files that somebody damaged or replaced are found before they are used, and named."""

import json
import os
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from negmerge.cli import main
from negmerge.errors import UserError
from negmerge.files import sha256
from negmerge.jobs.provenance import Provenance, find_record

DIGITS, TRIAL = "results/tiny/clip/digits", "results/tiny/resnet/trial1"
# Each kind of artefact: a file, and one that is made from it.
KINDS = {
    "images": ("data/tiny-fashion/images.safetensors", f"{TRIAL}/split.json"),
    "split": (f"{TRIAL}/split.json", f"{TRIAL}/trained/original.safetensors"),
    "base": ("results/tiny/clip/base.safetensors", f"{DIGITS}/vectors/m1.safetensors"),
    "head": ("results/tiny/clip/heads/digits.safetensors", f"{DIGITS}/scores/negmerge.json"),
    "merged": (f"{DIGITS}/merged/negmerge.safetensors", f"{DIGITS}/sparsity/sparsity.json"),
    "sweep": (f"{DIGITS}/sweeps/m1.csv", f"{DIGITS}/selected/task-arithmetic.json"),
    "candidates": (
        f"{TRIAL}/candidates/boundary-expand.safetensors",
        f"{TRIAL}/scores/boundary-expand.json",
    ),
    "table": ("results/tiny/tables/accuracy.md", "results/tiny/report.html"),
}


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def flip_a_bit(path):
    """A file that can still be read, with another number or letter in it."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="module")
def spoilt(finished, tmp_path_factory):
    """A copy whose files are damaged and restored in turn."""
    return finished.copy(tmp_path_factory.mktemp("spoilt") / "workflow")


@pytest.fixture
def damaged(spoilt, request):
    """The copy with one kind of file damaged, and the places in `KINDS`."""
    kind, damage = request.param
    path = spoilt.folder / KINDS[kind][0]
    whole, before = path.read_bytes(), os.stat(path)
    damage(path)
    yield spoilt, KINDS[kind]
    path.write_bytes(whole)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "damaged", [(kind, flip_a_bit) for kind in KINDS], ids=list(KINDS), indirect=True
)
def test_a_job_names_it_before_it_uses_it(damaged, monkeypatch):
    spoilt, (file, made) = damaged
    monkeypatch.chdir(spoilt.folder)
    record = json.loads(find_record(Path(made)).read_text())
    assert file in record["inputs"]
    places = {"log": ["results/tiny/logs/x.log"], "output": ["results/tiny/x"]}
    with pytest.raises(UserError) as caught:
        Provenance(SimpleNamespace(input=list(record["inputs"]), **places)).begin()
    line = str(caught.value)
    assert line.startswith(f"{file}: not the file that ")
    assert "; delete it and run again" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "damaged", [("base", flip_a_bit), ("sweep", cut), ("table", flip_a_bit)], indirect=True
)
def test_verify_names_it_and_the_command_to_go_on(damaged, capsys):
    spoilt, (file, _) = damaged
    assert main(["verify", str(spoilt.folder / "results/tiny"), "--json"]) == 1
    finding = json.loads(capsys.readouterr().out)["finding"]
    assert finding["file"] == file
    assert finding["command"].startswith(f"snakemake --cores all --forcerun {file} -- {file}")


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
