"""Two runs at once, clocks that differ, and a study edited in the middle of a run."""

import os
import signal
import time
from contextlib import contextmanager

import pytest

STUDY = "config/studies/tiny.yaml"
TRIAL = "results/tiny/resnet/trial1"
ORIGINAL = f"{TRIAL}/trained/original.safetensors"
IMAGES = "data/tiny-fashion/images.safetensors"
LOCK = ".snakemake/locks/*.output.lock"
DAY = 24 * 60 * 60
# Another setting of each point of the pool.
EDITS = {
    "ls0": ("ls0: {}", "ls0: {label_smoothing: 0.3}"),
    "ls1": ("ls1: {label_smoothing: 0.1}", "ls1: {label_smoothing: 0.3}"),
}
FINETUNED = {point: f"{TRIAL}/finetuned/{point}.safetensors" for point in EDITS}
LOGS = {point: f"results/tiny/logs/finetune/resnet/trial1/{point}.log" for point in EDITS}

pytestmark = pytest.mark.skipif(os.name != "posix", reason="stops processes by signals")


@contextmanager
def paused(checkout, sign, *targets):
    """Stop a run when a file like `sign` is there, and let it go on to its end after the block."""
    run = checkout.start("--cores", "1", "--", *targets)
    while not any(checkout.folder.glob(sign)):
        assert run.poll() is None
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(run.pid, signal.SIGCONT)
        status = run.wait()
    assert status == 0


def remove(checkout, *places):
    for place in places:
        (checkout.folder / place).unlink()


def add_twin(checkout):
    """Add the study `twin`, which is the tiny one by another name."""
    study = checkout.folder / STUDY
    study.with_name("twin.yaml").write_bytes(study.read_bytes())


@pytest.mark.parametrize(
    ("missing", "second"),
    [((ORIGINAL,), ORIGINAL), ((ORIGINAL, IMAGES), ORIGINAL.replace("tiny", "twin"))],
    ids=["same target", "same data"],
)
def test_a_second_run_that_makes_the_same_file_is_refused(editable, finished, missing, second):
    add_twin(editable)
    remove(editable, *missing)
    with paused(editable, LOCK, ORIGINAL):
        run = editable.snakemake("--cores", "1", "--", second)
        assert run.returncode == 1
        assert "Directory cannot be locked" in run.stderr
    assert editable.artefacts() == finished.artefacts()
    assert editable.planned(ORIGINAL) == set()


def test_two_studies_run_side_by_side(editable, finished):
    add_twin(editable)
    remove(editable, ORIGINAL)
    twin = ORIGINAL.replace("tiny", "twin")
    with paused(editable, LOCK, ORIGINAL):
        run = editable.snakemake("--cores", "1", "--", twin)
        assert run.returncode == 0, run.stderr
    for place in (ORIGINAL, twin):
        assert (editable.folder / place).read_bytes() == (finished.folder / ORIGINAL).read_bytes()
        assert editable.planned(place) == set()


def test_an_input_from_the_future_is_an_error_until_its_time_is_right(editable, finished):
    remove(editable, ORIGINAL)
    images = editable.folder / IMAGES
    tomorrow = time.time() + DAY
    os.utime(images, (tomorrow, tomorrow))
    run = editable.snakemake("--cores", "1", "--", ORIGINAL)
    assert run.returncode == 1
    assert f"Output {ORIGINAL} has older modification time" in run.stderr
    assert f"than input {IMAGES}" in run.stderr
    images.touch()
    run = editable.snakemake("--cores", "1", "--", ORIGINAL)
    assert run.returncode == 0, run.stderr
    assert (editable.folder / ORIGINAL).read_bytes() == (finished.folder / ORIGINAL).read_bytes()
    assert editable.planned(ORIGINAL) == set()


def test_results_older_than_their_inputs_can_be_accepted_as_they_are(editable, finished):
    past = time.time() - DAY
    for path in (editable.folder / "results").rglob("*"):
        os.utime(path, (past, past))
    report = "results/tiny/report.html"
    assert editable.planned(report)
    run = editable.snakemake("--touch", "--cores", "1", "--", report)
    assert run.returncode == 0, run.stderr
    assert editable.planned(report) == set()
    assert editable.artefacts() == finished.artefacts()


def states(checkout):
    return {point: (checkout.folder / place).read_bytes() for point, place in FINETUNED.items()}


def test_an_edit_of_the_study_in_the_middle_of_a_run_counts_from_the_next_run_on(
    editable, finished, tmp_path
):
    targets = FINETUNED.values()
    remove(editable, *targets, *LOGS.values())
    clean = editable.copy(tmp_path / "clean")
    with paused(editable, LOGS["ls0"].replace("ls0", "*"), *targets):
        (later,) = [point for point, log in LOGS.items() if not (editable.folder / log).exists()]
        editable.edit(STUDY, *EDITS[later])
    # Each point as the study had it when the run began, also the one that began after the edit.
    assert states(editable) == states(finished)
    assert editable.planned(*targets) == {f"finetune: resnet, trial1, {later}"}

    clean.edit(STUDY, *EDITS[later])
    for checkout in (editable, clean):
        run = checkout.snakemake("--cores", "2", "--", *targets)
        assert run.returncode == 0, run.stderr
    assert states(editable) == states(clean)
    assert states(editable)[later] != states(finished)[later]
