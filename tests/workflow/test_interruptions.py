"""Killed at any moment, a run goes on and ends with the bytes of an undisturbed one."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

TARGETS = ("results/tiny/tables/accuracy.md", "results/tiny/tables/sparsity.md")


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


def kill_a_job(run) -> None:
    for job in jobs_below(run.pid)[:1]:
        os.kill(job, signal.SIGKILL)


def kill_snakemake(run) -> None:
    """Kill Snakemake alone: its jobs go on as orphans."""
    os.kill(run.pid, signal.SIGKILL)


def kill_everything(run) -> None:
    """As a power cut does."""
    os.killpg(run.pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the jobs in /proc")
@pytest.mark.parametrize("kill", [kill_a_job, kill_snakemake, kill_everything])
def test_a_killed_run_goes_on_to_the_same_bytes(checkout, finished, tmp_path, kill):
    disturbed = checkout.copy(tmp_path / "workflow")
    moments = random.Random(kill.__name__)
    for round_ in range(2):
        run = disturbed.start("--cores", "2", "--keep-going", "--", *TARGETS)
        time.sleep(6 + 10 * round_ + moments.uniform(0, 8))
        if run.poll() is None:
            kill(run)
        run.wait()
        disturbed.snakemake("--unlock", "--", *TARGETS)
    run = disturbed.snakemake("--cores", "2", "--", *TARGETS)
    assert run.returncode == 0, run.stderr
    expected = finished.artefacts()
    found = disturbed.artefacts()
    # An orphan may still hold its temporary file open; the results are whole all the same.
    assert {name for name in found if not name.rpartition("/")[2].startswith(".")} <= set(expected)
    assert all(f"tables/{name}.csv" in found for name in ("accuracy", "sparsity"))
    for name, content in found.items():
        if name in expected:
            assert content == expected[name], name
