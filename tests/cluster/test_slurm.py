"""The workflow on a real Slurm: what jobs ask for, and that results are those of a local run."""

import os
import random
import signal
import time
from pathlib import Path

from local_cluster import ACCOUNT, PARTITION, URGENT

# How often a node is ended. More take long: `ROUNDS=30 make test-slurm`.
ROUNDS = int(os.environ.get("ROUNDS", "3"))
IMAGES = "data/tiny-fashion/images.safetensors"
TASK = "results/tiny/resnet/trial1"
ORIGINAL = f"{TASK}/trained/original.safetensors"
POOL = [f"{TASK}/finetuned/{point}.safetensors" for point in ("ls0", "ls1")]
MERGED = f"{TASK}/merged/negmerge.safetensors"
SCORE = f"{TASK}/scores/negmerge.json"


def find_job(folder, script=""):
    """The process of a script that runs in a folder, as soon as there is one."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
                if (
                    b".snakemake/scripts" in command
                    and script.encode() in command
                    and b"bash" not in command
                    and (process / "cwd").readlink() == folder
                ):
                    return int(process.name)
            except OSError:
                continue
        time.sleep(0.05)
    raise TimeoutError("no job has started")


def minutes(limit):
    """Read a time limit as Slurm writes it: hours:minutes:seconds."""
    hours, minutes, _ = limit.split(":")
    return 60 * int(hours) + int(minutes)


def read(checkout, *places):
    return [(checkout.folder / place).read_bytes() for place in places]


def test_a_job_out_of_time_comes_back_with_more_time_and_memory(cluster, on_cluster, local):
    run = on_cluster.start("--", IMAGES)
    os.kill(find_job(on_cluster.folder), signal.SIGSTOP)
    (first,) = on_cluster.jobs("JobID", "Timelimit")
    asked = minutes(first["Timelimit"])
    # Slurm looks at the times twice a minute.
    cluster.call("scontrol", "update", f"jobid={first['JobID']}", "timelimit=0")
    expected = local.made
    assert run.wait() == 0, on_cluster.printed
    first, second = on_cluster.jobs("State", "ReqMem", "Timelimit")
    assert (first["State"], first["ReqMem"]) == ("TIMEOUT", "2000M")
    assert (second["State"], second["ReqMem"]) == ("COMPLETED", "4000M")
    # What the rule asks for is an estimate with a margin, and a few minutes to start.
    assert 10 < asked < 30
    assert minutes(second["Timelimit"]) == 2 * asked
    assert read(on_cluster, IMAGES) == read(expected, IMAGES)


def test_a_job_that_makes_way_for_another_goes_on_to_the_same_bytes(cluster, on_cluster, local):
    run = on_cluster.start("--", ORIGINAL)
    # Stopped, it cannot end before Slurm takes its node; it goes on when Slurm tells it to end.
    os.kill(find_job(on_cluster.folder, ".train.py"), signal.SIGSTOP)
    urgent = (f"--partition={URGENT}", "--nodes=2", "--exclusive", "--output=/dev/null")
    cluster.call("sbatch", *urgent, "--wrap", "sleep 1")
    expected = local.made
    assert run.wait() == 0, on_cluster.printed
    jobs = on_cluster.jobs("Comment", "State", duplicates=True)
    states = [job["State"] for job in jobs if job["rule"] == "train"]
    assert states == ["PREEMPTED", "COMPLETED"]
    assert read(on_cluster, ORIGINAL) == read(expected, ORIGINAL)


def test_the_profile_runs_an_experiment_with_the_bytes_of_a_local_run(on_cluster, local):
    assert on_cluster.run("--slurm-array-jobs", "finetune", "--", SCORE) == 0, on_cluster.printed
    assert read(on_cluster, SCORE, *POOL) == read(local.made, SCORE, *POOL)
    jobs = on_cluster.jobs("JobID", "Comment", "State", "Account", "Partition")
    assert {(job["State"], job["Account"], job["Partition"]) for job in jobs} == {
        ("COMPLETED", ACCOUNT, PARTITION)
    }
    rules = [job["rule"] for job in jobs]
    assert (rules.count("prepare"), rules.count("score")) == (1, 1)
    arrays = {job["JobID"].partition("_")[0] for job in jobs if job["rule"] == "finetune"}
    assert (rules.count("finetune"), len(arrays)) == (2, 1)


def test_nodes_that_fail_at_any_moment_leave_the_same_bytes(cluster, on_cluster, local):
    expected = read(local.made, MERGED)
    chance = random.Random("any moment")
    rounds = 0
    run = on_cluster.start("--", MERGED)
    while rounds < ROUNDS:
        time.sleep(chance.uniform(4, 30))
        if run.poll() is not None:  # on a fast machine: begin again
            assert run.returncode == 0, on_cluster.printed
            assert read(on_cluster, MERGED) == expected
            on_cluster.clean()
            run = on_cluster.start("--", MERGED)
        rounds += cluster.fail_a_node(chance)
    assert run.wait() == 0, on_cluster.printed
    assert read(on_cluster, MERGED) == expected
    assert "NODE_FAIL" in [job["State"] for job in on_cluster.jobs("State", duplicates=True)]


def test_a_job_that_asked_for_a_gpu_never_computes_on_the_cpu(on_cluster):
    on_cluster.edit("config/studies/tiny.yaml", "seed: 3", "seed: 3\ndevice: cuda")
    # Nodes here have too few processors for the loaders that a GPU gets.
    assert on_cluster.run("--retries", "0", "--set-threads", "train=1", "--", ORIGINAL) == 1
    *_, train = on_cluster.jobs("Comment", "State", "AllocTRES")
    assert (train["rule"], train["State"]) == ("train", "FAILED")
    assert "gres/gpu=1" in train["AllocTRES"]
    log = on_cluster.folder / "results/tiny/logs/train/resnet/trial1/original.log"
    assert log.read_text().startswith("error: the device is cuda, but torch ")
