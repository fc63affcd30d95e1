"""Killed at any moment, a run goes on and ends with the bytes of an undisturbed one."""

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

REPORT = "results/tiny/report.html"
# Seconds between SIGTERM and SIGKILL: a SIGTERM that comes while Snakemake chooses jobs makes it
# wait for itself forever (its `exit_gracefully` takes a lock that the same thread may hold).
GRACE = 60


def jobs_below(process: int) -> list[int]:
    """The Python processes that Snakemake has started for its jobs."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(status.read_text().rpartition(")")[2].split()[2])
            command = (status.parent / "cmdline").read_bytes()
            if parent == process and b".snakemake/scripts" in command and b"bash" not in command:
                found.append(int(status.parent.name))
    return found


def kill_a_job(run) -> None:
    """Kill one job; then the user presses Ctrl-C, and loses patience at last."""
    for job in jobs_below(run.pid)[:1]:
        os.kill(job, signal.SIGKILL)
    os.killpg(run.pid, signal.SIGINT)


def end_the_jobs(run) -> None:
    """End all jobs and Snakemake, as a cluster does at the time limit."""
    for process in (*jobs_below(run.pid), run.pid):
        os.kill(process, signal.SIGTERM)


def kill_snakemake(run) -> None:
    """Kill Snakemake alone: its jobs go on as orphans."""
    os.kill(run.pid, signal.SIGKILL)


def kill_everything(run) -> None:
    """As a power cut does."""
    os.killpg(run.pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the jobs in /proc")
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(checkout, finished, tmp_path):
    disturbed = checkout.copy(tmp_path / "workflow")
    chance = random.Random("any moment")
    for kill in (kill_everything, end_the_jobs, kill_a_job, kill_snakemake):
        run = disturbed.start("--cores", "2", "--keep-going", "--", REPORT)
        # However busy the machine is, some jobs have begun.
        while run.poll() is None and not jobs_below(run.pid):
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 4))
        with suppress(ProcessLookupError):
            kill(run)
        try:
            run.wait(GRACE)
        except subprocess.TimeoutExpired:
            kill_everything(run)
            run.wait()
        disturbed.snakemake("--unlock", "--", REPORT)
    run = disturbed.snakemake("--cores", "2", "--", REPORT)
    assert run.returncode == 0, run.stdout + run.stderr
    # An orphan that was killed may have left the temporary file that it wrote; results are whole.
    found = disturbed.artefacts()
    found = {name: content for name, content in found.items() if Path(name).name[0] != "."}
    expected = finished.artefacts()
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
