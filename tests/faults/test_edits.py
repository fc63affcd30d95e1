"""A study that is edited in the middle of a run, and time stamps that got lost."""

import os
import signal
import time

import pytest

STUDY = "config/studies/tiny.yaml"
REPORT = "results/tiny/report.html"
# Another setting of each point of the pool.
EDITS = {
    "ls0": ("ls0: {}", "ls0: {label_smoothing: 0.3}"),
    "ls1": ("ls1: {label_smoothing: 0.1}", "ls1: {label_smoothing: 0.3}"),
}
FINETUNED = {point: f"results/tiny/resnet/trial1/finetuned/{point}.safetensors" for point in EDITS}
LOGS = {point: f"results/tiny/logs/finetune/resnet/trial1/{point}.log" for point in EDITS}


def states(checkout):
    return {point: (checkout.folder / place).read_bytes() for point, place in FINETUNED.items()}


@pytest.mark.skipif(os.name != "posix", reason="stops processes by signals")
def test_an_edit_of_the_study_in_the_middle_of_a_run_counts_from_the_next_run_on(
    editable, finished
):
    for place in (*FINETUNED.values(), *LOGS.values()):
        (editable.folder / place).unlink()
    run = editable.start("--cores", "1", "--", *FINETUNED.values())
    while not any((editable.folder / log).exists() for log in LOGS.values()):
        assert run.poll() is None
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGSTOP)
    (later,) = [point for point, log in LOGS.items() if not (editable.folder / log).exists()]
    editable.edit(STUDY, *EDITS[later])
    os.killpg(run.pid, signal.SIGCONT)
    assert run.wait() == 0
    # Each point as the study had it when the run began, also the one that began after the edit.
    assert states(editable) == states(finished)
    assert editable.planned(*FINETUNED.values()) == {f"finetune: resnet, trial1, {later}"}


def test_results_older_than_their_inputs_can_be_accepted_as_they_are(editable, finished):
    past = time.time() - 24 * 60 * 60
    for path in (editable.folder / "results").rglob("*"):
        os.utime(path, (past, past))
    assert editable.planned(REPORT)
    run = editable.snakemake("--touch", "--cores", "1", "--", REPORT)
    assert run.returncode == 0, run.stderr
    assert editable.planned(REPORT) == set()
    assert editable.artefacts() == finished.artefacts()
