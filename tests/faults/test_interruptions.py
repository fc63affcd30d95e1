"""Killed at any moment, a run goes on and ends with the bytes of an undisturbed one."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

REPORT = "results/tiny/report.html"
# How often a run is cut off, each time some seconds after its first job has begun.
ROUNDS = int(os.environ.get("ROUNDS", "6"))
# How often a run may end before it is cut off, with all files made or with an error of its own.
SPARE = 20
# Seconds between SIGTERM and SIGKILL: a SIGTERM that comes while Snakemake chooses jobs makes it
# wait for itself forever (its `exit_gracefully` takes a lock that the same thread may hold).
GRACE = 60


def jobs_below(process: int) -> list[int]:
    """The Python processes that Snakemake has started for its jobs."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if (
            int(fields[2]) == process
            and b".snakemake/scripts" in command
            and b"bash" not in command
        ):
            found.append(int(status.parent.name))
    return found


def kill_after_grace(run) -> None:
    try:
        run.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)


def kill_a_job(run, chance) -> None:
    """Kill one job; some time later the user presses Ctrl-C, and loses patience at last."""
    for job in jobs_below(run.pid)[:1]:
        os.kill(job, signal.SIGKILL)
    time.sleep(chance.uniform(0, 2))
    os.killpg(run.pid, signal.SIGINT)
    kill_after_grace(run)


def end_the_jobs(run, chance) -> None:
    """End all jobs and Snakemake, and kill what is left, as a cluster does at the time limit."""
    for job in jobs_below(run.pid):
        os.kill(job, signal.SIGTERM)
    os.kill(run.pid, signal.SIGTERM)
    kill_after_grace(run)


def kill_snakemake(run, chance) -> None:
    """Kill Snakemake alone: its jobs go on as orphans."""
    os.kill(run.pid, signal.SIGKILL)


def kill_everything(run, chance) -> None:
    """As a power cut does."""
    os.killpg(run.pid, signal.SIGKILL)


KILLS = (kill_a_job, end_the_jobs, kill_snakemake, kill_everything)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the jobs in /proc")
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(checkout, finished, tmp_path):
    expected = finished.artefacts()
    disturbed = checkout.copy(tmp_path / "workflow0")
    chance = random.Random("any moment")
    rounds = 0
    starts = 0
    while rounds < ROUNDS:
        starts += 1
        assert starts <= ROUNDS + SPARE
        run = disturbed.start("--cores", chance.choice("12"), "--keep-going", "--", REPORT)
        # However busy the machine is, some jobs have begun.
        while run.poll() is None and not jobs_below(run.pid):
            time.sleep(0.1)
        time.sleep(chance.uniform(0, 8))
        if run.poll() is None:
            chance.choice(KILLS)(run, chance)
            rounds += 1
        elif run.returncode == 0:  # on a fast machine: begin again
            assert disturbed.artefacts() == expected
            disturbed = checkout.copy(tmp_path / f"workflow{rounds}")
        run.wait()
        disturbed.snakemake("--unlock", "--", REPORT)
    run = disturbed.snakemake("--cores", "2", "--", REPORT)
    assert run.returncode == 0, run.stdout + run.stderr
    found = disturbed.artefacts()
    # An orphan that was killed may have left the temporary file that it wrote; results are whole.
    found = {name: content for name, content in found.items() if Path(name).name[0] != "."}
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []
