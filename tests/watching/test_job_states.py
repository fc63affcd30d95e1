"""What became of a job, from its record and its log, in the folder of a run and in a copy."""

from pathlib import Path

import pytest
from watched_jobs import NOW, begin, finish, job, log, write

from negmerge.watching.states import AT_WORK, DONE, FAILED, STOPPED, WAITING, look

TRACEBACK = """step 1/9
Traceback (most recent call last):
  File "x.py", line 1, in <module>
ValueError: no
"""
SNAKEMAKE = """Building DAG of jobs...
Error in rule finetune:
    message: None
    jobid: 3
    output: results/small/a/vectors/m1.safetensors
    log: results/small/logs/finetune/a/vectors/m1.log (check log file(s) for error details)

Error in rule merge:
    jobid: 4
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def state(one, *before):
    return look([*before, one]).states[one]


def test_a_job_that_has_left_a_record():
    one = job("merge", "a/merged/x")
    finish(one, 500, 60)
    found = state(one)
    assert (found.is_now, found.began, found.took) == (DONE, NOW - 500, 60)


def test_a_job_whose_output_was_used_though_a_copy_lacks_its_record():
    first = job("prepare", "a/images")
    second = job("split", "a/split", first)
    third = job("train", "a/trained", second)
    assert [look([first, second, third]).states[one].is_now for one in (first, second, third)] == [
        WAITING
    ] * 3
    finish(third, 500, 60)
    seen = look([first, second, third])
    assert [seen.states[one].is_now for one in (first, second, third)] == [DONE] * 3
    assert seen.states[first].took is None


def test_a_job_that_is_made_anew():
    one = job("finetune", "a/vectors/m1")
    later = job("merge", "a/merged/x", one)
    for each in (one, later):
        finish(each, 500, 60)
    begin(one, 30)
    assert [look([one, later]).states[each].is_now for each in (one, later)] == [AT_WORK, DONE]
    begin(one, 470)  # Snakemake takes its note away a moment after the job has ended.
    assert state(one).is_now == DONE


@pytest.mark.parametrize("noted", [True, False])
def test_a_job_that_is_at_work(noted):
    one = job("finetune", "a/vectors/m1")
    if noted:
        begin(one, 90)
    log(one, "step 1/9  80 s left\rstep 2/9  70 s left\n\n", 10)
    found = state(one)
    assert (found.is_now, found.line) == (AT_WORK, "step 2/9  70 s left")
    assert (found.began, found.took) == ((NOW - 90, 80) if noted else (None, None))


def test_a_job_that_begins_again_or_waits_on_a_cluster():
    one = job("finetune", "a/vectors/m1")
    begin(one, 5)
    assert state(one).is_now == AT_WORK
    log(one, "error: of an earlier attempt\n", 50)
    assert (state(one).is_now, state(one).line) == (AT_WORK, "")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("step 1/9\nerror: step 1 of 9: the loss is nan\n", "step 1 of 9: the loss is nan"),
        (TRACEBACK, "ValueError: no"),
    ],
)
def test_a_job_that_has_failed(text, line):
    one = job("finetune", "a/vectors/m1")
    log(one, text)
    assert (state(one).is_now, state(one).line) == (FAILED, line)


def test_a_job_that_was_killed_as_snakemake_tells():
    one = job("finetune", "a/vectors/m1")
    log(one, "step 1/9\n")
    assert state(one).is_now == AT_WORK
    write(Path(".snakemake/log/2026-01-01T000000.snakemake.log"), SNAKEMAKE, 0)
    killed = "it ended without a word, as when it is killed"
    assert (state(one).is_now, state(one).line) == (FAILED, f"{killed}: step 1/9")
    Path(one.log).unlink()
    assert (state(one).is_now, state(one).line) == (FAILED, killed)
    # The last run tells of its own failures only.
    write(Path(".snakemake/log/2026-01-02T000000.snakemake.log"), "Building DAG of jobs...\n", 0)
    assert state(one).is_now == WAITING


def test_a_job_that_has_stopped():
    one, other = job("finetune", "a/vectors/m1"), job("finetune", "a/vectors/m2")
    log(one, "step 1/9\n", 3500)
    log(other, "step 5/9\n", 0)
    assert state(one, other).is_now == AT_WORK
    log(one, "step 1/9\n", 3700)  # longer than it may take
    assert state(one, other).is_now == STOPPED
    # Snakemake has taken its note away, and keeps that of another.
    log(one, "step 1/9\n", 10)
    begin(other, 20)
    assert state(one, other).is_now == STOPPED


def test_nothing_has_run():
    one = job("finetune", "a/vectors/m1")
    seen = look([one])
    assert (seen.states[one].is_now, seen.newest) == (WAITING, 0)
