"""The jobs that files need, with what their rules ask for, as Snakemake itself lists them."""

import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from negmerge.errors import UserError

SNAKEFILE = Path("Snakefile")


@dataclass(frozen=True, eq=False)
class Job:
    """A job.

    Attributes:
        rule: what it does.
        outputs: its files.
        to_do: whether it has still to run.
        estimate_s: how long it takes.
        minutes: how long it may take.
        disk_mb: what it writes.
        gpu: whether it holds a GPU.
        drops: whether its files go again as soon as no job needs them any more.
        by_hand: how a person gets its file; None if the workflow makes it.
        benchmark: where Snakemake notes what it took; None if nowhere.
        after: the jobs whose files it reads.
    """

    rule: str
    outputs: tuple[str, ...]
    to_do: bool
    estimate_s: float
    minutes: int
    disk_mb: int
    gpu: bool
    drops: bool
    by_hand: str | None
    benchmark: str | None
    after: "tuple[Job, ...]"


def require_workflow() -> None:
    """Check that Snakemake can be asked here.

    Raises:
        UserError: Snakemake is not installed, or there is no workflow in the working folder.
    """
    if find_spec("snakemake") is None:
        raise UserError("Snakemake is not installed, and it knows the jobs; `make` installs it")
    if not SNAKEFILE.is_file():
        raise UserError("no Snakefile in this folder; run the command where the workflow lies")


def list_jobs(files: list[str]) -> list[Job]:
    """List the jobs behind some files, each after those that it needs; nothing is run.

    Raises:
        UserError: what Snakemake, or a rule of the workflow, says is wrong.
    """
    # Here, since it takes a second to import.
    from snakemake.api import DAGSettings, OutputSettings, ResourceSettings, SnakemakeApi
    from snakemake.settings.types import Quietness

    try:
        with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as snakemake:
            # So many cores that each job has the threads that its rule asks for.
            workflow = snakemake.workflow(ResourceSettings(cores=10**6), snakefile=SNAKEFILE)
            read = workflow._workflow
            # Of all that builds the graph and runs nothing, a summary is the quickest.
            with redirect_stdout(io.StringIO()):
                workflow.dag(DAGSettings(targets=set(files))).summary()
            return _read(read.dag)
    except (Exception, SystemExit) as error:
        raise UserError(_reason(error)) from error


def _read(dag) -> list[Job]:
    """Take from Snakemake's graph what a plan needs."""
    found: dict = {}

    def visit(job) -> Job:
        if job not in found:
            after = tuple(visit(earlier) for earlier in dag.dependencies[job])
            asked = job.resources
            found[job] = Job(
                rule=job.rule.name,
                outputs=tuple(map(str, job.output)),
                to_do=bool(dag.reason(job)),
                estimate_s=asked.get("estimate_s", 0),
                minutes=asked.get("runtime", 0),
                disk_mb=asked.get("disk_mb", 0),
                gpu=bool(asked.get("gpu")),
                drops=any(file.flags.get("temp") for file in job.output),
                by_hand=(job.params.get("file") or {}).get("manual"),
                benchmark=str(job.benchmark) if job.benchmark else None,
                after=after,
            )
        return found[job]

    for job in dag.jobs:
        visit(job)
    return list(found.values())


def _reason(error: BaseException | None) -> str:
    """Find what a rule of the workflow says is wrong, or Snakemake, in one line."""
    first = error
    while error is not None:
        if isinstance(error, SystemExit):
            return str(error).removeprefix("error: ")
        error = error.__cause__ or error.__context__
    return f"Snakemake: {type(first).__name__}: {' '.join(str(first).split())}"
