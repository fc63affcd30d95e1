"""A folder that snakedeploy has made, on Slurm, where each job reads the workflow anew."""

import subprocess
import sys

import pytest
from local_cluster import ACCOUNT, PARTITION

IMAGES = "data/tiny-fashion/images.safetensors"
PROFILE = "profiles/slurm/config.yaml"


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="snakedeploy needs an older Python")
def test_jobs_find_the_workflow_and_the_shipped_images(hub, cluster, local, tmp_path):
    deployed = hub.deploy(tmp_path / "deployed")
    deployed.edit(PROFILE, "slurm_account: CHANGE_ME", f"slurm_account: {ACCOUNT}")
    deployed.edit(PROFILE, "slurm_partition: CHANGE_ME", f"slurm_partition: {PARTITION}")
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", "profiles/slurm", "--", IMAGES],
        cwd=deployed.folder,
        env=cluster.environment | hub.variables,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    ran = [
        job for job in cluster.jobs("WorkDir", "State") if job["WorkDir"] == str(deployed.folder)
    ]
    assert [job["State"] for job in ran] == ["COMPLETED"]
    made = (deployed.folder / IMAGES).read_bytes()
    assert made == (local.make().folder / IMAGES).read_bytes()
