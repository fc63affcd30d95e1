"""The jobs that files need, with what their rules ask for, as Snakemake itself lists them."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from negmerge.errors import UserError

LISTING = Path(__file__).with_name("listing.py")
# The rules whose files come from the internet.
FETCHING = ("download", "weights")


@dataclass(frozen=True, eq=False)
class Job:
    """A job.

    Attributes:
        rule: what it does.
        wildcards: for what, such as `experiment` and `task`.
        threads: the cores that it takes.
        outputs: its files.
        to_do: whether it has still to run.
        estimate_s: how long it takes.
        minutes: how long it may take.
        disk_mb: what it writes.
        gpu: whether it holds a GPU.
        drops: whether its files are deleted as soon as no job needs them.
        by_hand: how a person gets its file; None if the workflow makes it.
        log: where it writes what it does; None if nowhere.
        benchmark: where Snakemake notes what it took; None if nowhere.
        after: the jobs whose files it reads.
    """

    rule: str
    wildcards: dict[str, str]
    threads: int
    outputs: tuple[str, ...]
    to_do: bool
    estimate_s: float
    minutes: int
    disk_mb: int
    gpu: bool
    drops: bool
    by_hand: str | None
    log: str | None
    benchmark: str | None
    after: "tuple[Job, ...]"

    @property
    def fetches(self) -> bool:
        """Whether its files come from the internet."""
        return self.rule in FETCHING


def gigabytes(jobs: Iterable[Job]) -> float:
    """Add up what jobs write."""
    return sum(job.disk_mb for job in jobs) / 1e3


def require_workflow() -> None:
    """Check that Snakemake can be asked here.

    Raises:
        UserError: Snakemake is not installed, or there is no workflow in the working folder.
    """
    if find_spec("snakemake") is None:
        raise UserError(
            "Snakemake is not installed, and only it lists the jobs; `make` installs it"
        )
    # The second is where snakedeploy puts it.
    if not any(Path(name).is_file() for name in ("Snakefile", "workflow/Snakefile")):
        raise UserError("no Snakefile in this folder; run the command in the workflow's folder")


def list_jobs(files: list[str], config: Mapping[str, object] | None = None) -> list[Job]:
    """List the jobs behind some files, each after those that it needs; nothing is run.

    Args:
        files: the files.
        config: what stands in place of keys of `config.yaml`.

    Raises:
        UserError: what Snakemake, or a rule of the workflow, says is wrong.
    """
    return read_jobs(list_rows(files, config))


def list_rows(files: list[str], config: Mapping[str, object] | None = None) -> list[dict]:
    """List jobs as `list_jobs` does, each as JSON values."""
    command = [sys.executable, "-P", str(LISTING), json.dumps(config or {}), *files]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.splitlines() or ["Snakemake failed and did not say why"])[-1]
        raise UserError(last.removeprefix("error: "))
    return json.loads(done.stdout)


def read_jobs(rows: Iterable[dict]) -> list[Job]:
    """Make jobs of what `listing.py` prints."""
    found: list[Job] = []
    for row in rows:
        after = tuple(found[number] for number in row["after"])
        found.append(Job(**row | {"outputs": tuple(row["outputs"]), "after": after}))
    return found
