"""Print the jobs behind some files, with what their rules ask for, as JSON; nothing is run.

A program of its own, which imports nothing of the library: the workflow brings its library along.

    python -P listing.py CONFIG FILE...

CONFIG is JSON: what stands in place of keys of config.yaml.
"""

import io
import json
import sys
from contextlib import redirect_stdout

from snakemake.api import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    ResourceSettings,
    SnakemakeApi,
)
from snakemake.settings.types import Quietness


def list_jobs(config: dict, files: list[str]) -> list[dict]:
    """List jobs, each after those whose files it reads; `after` counts these from 0."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as snakemake:
        # Enough cores for each job to have the threads that its rule asks for.
        asked = snakemake.workflow(
            ResourceSettings(cores=10**6),
            config_settings=ConfigSettings(config=config),
        )
        workflow = asked._workflow
        # A summary is the quickest way to build the graph without running anything.
        with redirect_stdout(io.StringIO()):
            asked.dag(DAGSettings(targets=set(files))).summary()
        return _read(workflow.dag)


def _read(dag) -> list[dict]:
    """Take from Snakemake's graph what a plan needs."""
    found: list[dict] = []
    numbers: dict = {}

    def number(job) -> int:
        if job not in numbers:
            after = [number(earlier) for earlier in dag.dependencies[job]]
            numbers[job] = len(found)
            found.append(
                {
                    "rule": job.rule.name,
                    "wildcards": dict(job.wildcards_dict),
                    "threads": job.threads,
                    "outputs": [str(file) for file in job.output],
                    "to_do": bool(dag.reason(job)),
                    "estimate_s": job.resources.get("estimate_s", 0),
                    "minutes": job.resources.get("runtime", 0),
                    "disk_mb": job.resources.get("disk_mb", 0),
                    "gpu": bool(job.resources.get("gpu")),
                    "drops": any(file.flags.get("temp") for file in job.output),
                    "by_hand": (job.params.get("file") or {}).get("manual"),
                    "log": str(job.log[0]) if job.log else None,
                    "benchmark": str(job.benchmark) if job.benchmark else None,
                    "after": after,
                }
            )
        return numbers[job]

    for job in dag.jobs:
        number(job)
    return found


def reason(error: BaseException | None) -> str:
    """Find what a rule of the workflow says is wrong, or Snakemake, in one line."""
    first = error
    while error is not None:
        if isinstance(error, SystemExit):
            return str(error).removeprefix("error: ")
        error = error.__cause__ or error.__context__
    return f"Snakemake: {type(first).__name__}: {' '.join(str(first).split())}"


if __name__ == "__main__":
    try:
        jobs = list_jobs(json.loads(sys.argv[1]), sys.argv[2:])
    except (Exception, SystemExit) as error:
        sys.exit(f"error: {reason(error)}")
    print(json.dumps(jobs))
