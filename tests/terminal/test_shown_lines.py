"""What is shown of Snakemake's messages where no terminal is attached."""

import io
import logging
import os
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_negmerge import LogHandler


def new_handler(**settings):
    handler = LogHandler(SimpleNamespace(**settings), None)
    handler.stream = io.StringIO()
    return handler


@pytest.fixture
def handler():
    """A handler of a run of two jobs, the first of which is at work."""
    handler = new_handler(dryrun=False)
    send(handler, event=LogEvent.RUN_INFO, stats={"merge": 1, "table": 1, "total": 2})
    send(handler, event=LogEvent.JOB_INFO, jobid=7, rule_name="merge", rule_msg="merge: clip")
    return handler


def send(handler, message="", level=logging.INFO, **fields):
    handler.handle(logging.makeLogRecord({"msg": message, "levelno": level, **fields}))


def fail(handler, *logs):
    send(handler, event=LogEvent.JOB_ERROR, jobid=7, log=[str(log) for log in logs])


def shown(handler):
    handler.close()
    return handler.stream.getvalue().splitlines()


def test_a_finished_job_is_a_line_with_its_number(handler):
    send(handler, event=LogEvent.JOB_FINISHED, job_id=7)
    send(handler, event=LogEvent.JOB_INFO, jobid=8, rule_name="table", rule_msg=None)
    send(handler, event=LogEvent.JOB_FINISHED, job_id=8)
    assert shown(handler) == [
        "jobs to do: 2",
        "1 of 2  merge: clip",
        "2 of 2  table",
        "done: 2 of 2 jobs in 00:00",
    ]


def test_a_failed_job_shows_the_end_of_its_log(handler, tmp_path):
    log = tmp_path / "merge.log"
    log.write_text("".join(f"step {number}\n" for number in range(40)))
    send(handler, "RuleException:\nCalledProcessError in file rules/x.smk", logging.ERROR)
    fail(handler, log)
    send(handler, "Exiting because a job execution failed. Look above", logging.ERROR)
    send(handler, "WorkflowError:\nAt least one job did not complete", logging.ERROR)
    assert shown(handler)[1:] == [
        "FAILED merge: clip",
        f"  the end of its log, {log}:",
        *(f"    step {number}" for number in range(25, 40)),
        "stopped: 0 of 2 jobs in 00:00, 1 failed",
        "to go on from there: the same command",
    ]


def test_a_log_of_an_earlier_try_is_not_shown(handler, tmp_path):
    log = tmp_path / "merge.log"
    log.write_text("of yesterday\n")
    os.utime(log, (1, 1))
    fail(handler, log)
    assert f"  nothing written to {log}" in shown(handler)


def test_a_job_that_the_system_ended_is_told(handler):
    text = "CalledProcessError in file x:\nCommand 'x' died with <Signals.SIGKILL: 9>."
    send(handler, text, logging.ERROR, event=LogEvent.ERROR)
    assert "a job was ended by SIGKILL, as systems do when memory runs out" in shown(handler)


@pytest.mark.parametrize("at_terminal", [True, False])
def test_a_job_that_dies_of_ctrl_c_at_a_terminal_has_not_failed(handler, at_terminal):
    if at_terminal:
        handler.stray, handler.stream.fileno = io.StringIO(), lambda: 2
    send(handler, "CalledProcessError in x: died with <Signals.SIGINT: 2>.", logging.ERROR)
    fail(handler)
    assert ("FAILED merge: clip" in shown(handler)) != at_terminal


def test_warnings_and_errors_are_shown_and_remarks_are_not(handler):
    send(handler, "Select jobs to execute...")
    send(handler, "Nothing to be done (all files are there).")
    send(handler, "a warning", logging.WARNING)
    send(handler, "LockException:\nthe folder is locked", logging.ERROR, event=LogEvent.ERROR)
    assert shown(handler)[1:-2] == [
        "Nothing to be done (all files are there).",
        "a warning",
        "LockException:",
        "the folder is locked",
    ]


def test_a_dry_run_shows_the_jobs_of_each_rule():
    handler = new_handler(dryrun=True)
    send(handler, "Job stats:\nmerge 1", event=LogEvent.RUN_INFO, stats={"merge": 1, "total": 1})
    assert shown(handler) == ["Job stats:", "merge 1"]


def run(jobs, times):
    """A handler of a run in which jobs of some rules have taken so long, one after the other."""
    handler = new_handler(dryrun=False)
    send(handler, event=LogEvent.RUN_INFO, stats=jobs | {"total": sum(jobs.values())})
    for rule, seconds in times:
        send(handler, event=LogEvent.JOB_INFO, jobid=1, rule_name=rule, rule_msg=None, created=0)
        send(handler, event=LogEvent.JOB_FINISHED, job_id=1, created=seconds)
    return handler


def test_jobs_that_are_left_take_what_others_of_their_rule_took():
    times = [("finetune", 20), ("table", 1), ("table", 3)]
    handler = run({"base": 1, "finetune": 3, "table": 10}, times)
    # base: the mean of all; finetune: 2 of 20; table: 8 of 2
    assert handler.seconds_left(elapsed=24) == pytest.approx(8 + 40 + 16)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.floats(1, 1e6))
def test_nothing_is_left_of_a_finished_run(times, elapsed):
    handler = run({"sweep": len(times)}, [("sweep", seconds) for seconds in times])
    assert handler.seconds_left(elapsed) == 0
