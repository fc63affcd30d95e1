"""Bad input ends in one readable line and exit status 1, before any work starts."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from negmerge.jobs.provenance import place_of_record

STUDY = "config/studies/tiny.yaml"
REPORT = "results/tiny/report.html"


def error_of(run) -> str:
    """The one line of the error; nothing may look like a traceback, and no job may have run."""
    assert run.returncode == 1
    lines = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, run.stderr
    assert "Traceback" not in run.stderr
    assert "Finished job" not in run.stderr
    return lines[0]


def test_a_wrong_study_names_the_key_and_the_nearest_valid_name(checkout, tmp_path):
    """The others of such mistakes are in tests/settings/test_wrong_studies.py."""
    broken = checkout.copy(tmp_path / "workflow")
    broken.edit(STUDY, "control: fashion", "contol: fashion")
    error = error_of(broken.snakemake("--cores", "1", "--", REPORT))
    assert f"{STUDY}: unknown key 'contol' in experiments.clip; did you mean 'control'?" in error


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("results/tinny/report.html", "tiny"),
        ("results/tiny/clip/digit/vectors/m1.safetensors", "digits"),
        ("data/fashio/images.safetensors", "fashion"),
    ],
)
def test_an_unknown_name_in_the_asked_path(checkout, target, name):
    error = error_of(checkout.snakemake("--cores", "1", "--", target))
    assert f"did you mean {name!r}?" in error


def put_nan(path):
    state = load_file(path)
    state["visual.proj"][0, 0] = np.nan
    save_file(state, path)


def test_a_damaged_checkpoint_is_named_and_the_rest_stays(editable):
    checkpoint = editable.folder / "results/tiny/clip/digits/vectors/m10.safetensors"
    put_nan(checkpoint)
    # A checkpoint of the user's own has no record that would tell at once.
    place_of_record(editable.folder / "results/tiny", checkpoint).unlink()
    before = editable.artefacts()
    merged = "results/tiny/clip/digits/merged/negmerge.safetensors"
    run = editable.snakemake("--cores", "1", "--forcerun", "merge", "--", merged)
    assert run.returncode == 1
    log = (editable.folder / "results/tiny/logs/merge/clip/digits/negmerge.log").read_text()
    assert log.startswith("error: results/tiny/clip/digits/vectors/m10.safetensors: ")
    message = "tensor 'visual.proj' holds 1 NaN or infinite"
    assert message in log
    assert len(log.splitlines()) == 1
    assert message in run.stderr, "the log must be shown"
    # The job that was forced has lost its output, and no other file has changed.
    after = editable.artefacts()
    assert after.items() <= before.items()
    assert "clip/digits/merged/uniform.safetensors" in after
