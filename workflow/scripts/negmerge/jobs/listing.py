"""The jobs that files need, as Snakemake itself lists them; nothing is run.

Snakemake runs in a process of its own, which starts this file as a script. So it imports nothing of
the library at the top: the workflow brings its own along.
"""

import io
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """A job: the wildcards of its rule, whether it has still to run, and on a GPU."""

    rule: str
    wildcards: dict[str, str]
    outputs: list[str]
    to_do: bool
    gpu: bool
    benchmark: str | None  # where Snakemake notes what it took
    after: list[int]  # the places of the jobs whose files it reads


def require_workflow() -> Path:
    """Return the workflow in the working folder; without one, or Snakemake, there is an error."""
    from negmerge.errors import UserError

    if find_spec("snakemake") is None:
        raise UserError(
            "Snakemake is not installed, and only it lists the jobs; `make` installs it"
        )
    # The second is where snakedeploy puts it.
    for path in (Path("Snakefile"), Path("workflow/Snakefile")):
        if path.is_file():
            return path
    raise UserError("no Snakefile in this folder; run the command in the workflow's folder")


def list_jobs(files: Iterable[str], config: Mapping[str, object] | None = None) -> list[Job]:
    """List the jobs behind files, with values in place of some in `config.yaml`."""
    from negmerge.errors import UserError

    command = [sys.executable, "-P", __file__, json.dumps(config or {}), *files]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.splitlines() or ["Snakemake failed and did not say why"])[-1]
        raise UserError(last.removeprefix("error: "))
    return [Job(**row) for row in json.loads(done.stdout)]


def _list(config: dict, files: list[str]) -> list[dict]:
    """List the jobs of Snakemake's graph as JSON values."""
    from snakemake import api
    from snakemake.settings.types import Quietness

    with api.SnakemakeApi(api.OutputSettings(quiet={Quietness.ALL})) as snakemake:
        workflow = snakemake.workflow(
            api.ResourceSettings(cores=1), config_settings=api.ConfigSettings(config=config)
        )
        # A summary is the quickest way to build the graph without running anything.
        with redirect_stdout(io.StringIO()):
            workflow.dag(api.DAGSettings(targets=set(files))).summary()
        dag = workflow._workflow.dag
        places = {job: place for place, job in enumerate(dag.jobs)}
        return [
            {
                "rule": job.rule.name,
                "wildcards": dict(job.wildcards_dict),
                "outputs": [str(file) for file in job.output],
                "to_do": bool(dag.reason(job)),
                "gpu": bool(job.resources.get("gpu")),
                "benchmark": str(job.benchmark) if job.benchmark else None,
                "after": [places[earlier] for earlier in dag.dependencies[job]],
            }
            for job in places
        ]


def _reason(error: BaseException | None) -> str:
    """Find what a rule of the workflow says is wrong, or Snakemake, in one line."""
    first = error
    while error is not None:
        if isinstance(error, SystemExit):
            return str(error).removeprefix("error: ")
        error = error.__cause__ or error.__context__
    return f"Snakemake: {type(first).__name__}: {' '.join(str(first).split())}"


if __name__ == "__main__":
    try:
        print(json.dumps(_list(json.loads(sys.argv[1]), sys.argv[2:])))
    except (Exception, SystemExit) as error:
        sys.exit(f"error: {_reason(error)}")
