"""A Slurm cluster of this machine's own, and copies of the workflow with the tiny study."""

import shutil
import subprocess
import sys
import tempfile
from functools import cached_property
from pathlib import Path

import pytest
from local_cluster import ACCOUNT, PARTITION, Cluster

from tiny_study import Checkout

PROFILE = "profiles/slurm/config.yaml"
TARGET = "results/tiny/resnet/trial1/scores/negmerge.json"


class OnCluster(Checkout):
    """A copy of the workflow whose jobs run on the cluster.

    Of its profile no more is changed than the two lines that a user has to change.
    """

    def __init__(self, folder: Path, cluster: Cluster):
        super().__init__(folder)
        self._cluster = cluster
        self._log = folder.with_suffix(".txt")
        self.edit(PROFILE, "slurm_account: CHANGE_ME", f"slurm_account: {ACCOUNT}")
        self.edit(PROFILE, "slurm_partition: CHANGE_ME", f"slurm_partition: {PARTITION}")

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start Snakemake; it asks for the state of jobs, which take seconds here, sooner."""
        return self.start_plainly("--slurm-init-seconds-before-status-checks", "12", *arguments)

    def start_plainly(self, *arguments: str) -> subprocess.Popen:
        """Start Snakemake with no more than the profile says."""
        with open(self._log, "a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "snakemake", "--profile", "slurm", *arguments],
                cwd=self.folder,
                env=self._cluster.environment,
                stdout=log,
                stderr=log,
            )

    def run(self, *arguments: str) -> int:
        return self.start(*arguments).wait()

    @property
    def printed(self) -> str:
        """What Snakemake has printed."""
        return self._log.read_text()

    def jobs(self, *fields: str, duplicates: bool = False) -> list[dict[str, str]]:
        """The jobs of this copy; with `Comment` also the `rule`, which is in it."""
        found = self._cluster.jobs("WorkDir", *fields, duplicates=duplicates)
        mine = [job for job in found if job.pop("WorkDir") == str(self.folder)]
        for job in mine:
            if "Comment" in job:
                name = job["Comment"].removeprefix("rule_")
                job["rule"] = name.partition("_wildcards_")[0]
        return mine

    def clean(self) -> None:
        """Take all results away."""
        for name in ("results", "data"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


class Local(Checkout):
    """A copy of the workflow that runs without a cluster."""

    @cached_property
    def made(self) -> "Local":
        """The copy after its run, which begins when it is first asked for."""
        self.make(TARGET)
        return self


@pytest.fixture(scope="session")
def cluster():
    with tempfile.TemporaryDirectory(prefix="slurm") as folder, Cluster(Path(folder)) as started:
        yield started


@pytest.fixture(scope="session")
def local(checkout, tmp_path_factory):
    return Local(checkout.copy(tmp_path_factory.mktemp("local") / "workflow").folder)


@pytest.fixture
def on_cluster(checkout, cluster, tmp_path):
    yield OnCluster(checkout.copy(tmp_path / "workflow").folder, cluster)
    # What a failed test leaves in the queue must not delay the next one.
    cluster.call("scancel", "--user=root")
