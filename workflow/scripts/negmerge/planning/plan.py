"""A plan: what the jobs behind wanted files ask for."""

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from negmerge.errors import UserError, unknown
from negmerge.planning.chains import behind, longest_chain, makespan
from negmerge.planning.exhibits import exhibit_row
from negmerge.planning.jobs import Job, gigabytes, list_jobs, require_workflow
from negmerge.planning.prices import Prices
from negmerge.reporting.runtime import waited
from negmerge.settings.costs import Costs, load_costs
from negmerge.settings.given import Given, by_hand, files_of
from negmerge.settings.study import Study, load_study

UNITS = ("gpu", "cpu")
# What stands for all tables and figures.
REPORT = "report"
# How many cores a computer without a GPU may have.
CORES = (2, 8)


def make_plan(
    name: str,
    wanted: str = REPORT,
    config: str | Path = "config",
    *,
    device: str | None = None,
    measured: float | None = None,
) -> dict:
    """Plan a study, or a part of it, without running anything.

    It must run in the folder of the workflow, since Snakemake lists the jobs.

    Args:
        name: the study's name.
        wanted: `report`, a table, a figure, or a path as Snakemake takes it.
        config: the configuration folder.
        device: where jobs compute, in place of what configuration and study say.
        measured: for how many seconds to train and evaluate each of the study's networks here; its
            rates count then. Without `device`, on a GPU if there is one.

    Returns:
        What `describe` prints, as JSON values.

    Raises:
        UserError: a mistake in a name or a file, or what Snakemake says is wrong.
    """
    require_workflow()
    study, rates = load_study(config, name, options=False), {}
    files = targets(study, name, wanted)
    if measured:
        device, rates = _measure(study, device, measured)
    costs = load_costs(config, rates)
    given = {"device": device} if device else {}
    if sys.stderr.isatty():
        print("asking Snakemake; a study of thousands of jobs takes a while", file=sys.stderr)
    jobs = list_jobs(files, given | {"measured": rates})
    missing, prices = missing_models(study, jobs), Prices(study, costs)
    to_do, on_gpu = [job for job in jobs if job.to_do], any(job.gpu for job in jobs)
    return {
        "study": name,
        "targets": files,
        **add_up(jobs),
        "machines": prices.machines(to_do),
        "gpu_memory": prices.gpu_memory(to_do),
        "cores": {} if on_gpu else {cores: makespan(to_do, cores) / 3600 for cores in CORES},
        "exhibits": [
            exhibit_row(one, behind(jobs, targets(study, name, one)), prices)
            for one in (exhibits(study) if wanted == REPORT else ())
        ],
        "missing": by_hand(missing) if missing else None,
        "unknown": unknown_sizes(study, costs, jobs),
        "limit": costs.limit.model_dump(),
        "measured": rates,
    }


def _measure(study: Study, device: str | None, seconds: float) -> tuple[str, dict]:
    """Measure the networks of a study; return the device, and the rates by device and model."""
    # Here, since other plans need no torch.
    import torch

    from negmerge.models.devices import find_device
    from negmerge.planning.measuring import measure_study

    found = find_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    rates = measure_study(study, found, seconds, lambda line: print(line, file=sys.stderr))
    return found.type, {found.type: {name: rate.model_dump() for name, rate in rates.items()}}


def add_up(jobs: Sequence[Job]) -> dict:
    """Add up what jobs ask for, those that are still to do; the longest steps first."""
    to_do = [job for job in jobs if job.to_do]
    fetched = [job for job in to_do if job.fetches]
    steps = [_step([job for job in jobs if job.rule == rule]) for rule in {j.rule for j in jobs}]
    chain = longest_chain(to_do)
    return {
        "steps": sorted(steps, key=lambda step: (-step["hours"]["estimate"], step["rule"])),
        "hours": {
            unit: _hours([job for job in to_do if job.gpu == (unit == "gpu")]) for unit in UNITS
        },
        "chain": {"jobs": [_label(job) for job in chain], "hours": _hours(chain)},
        "disk": {
            "gigabytes": gigabytes(to_do),
            "dropped": gigabytes(job for job in to_do if job.drops),
        },
        "fetch": {job.outputs[0]: job.disk_mb / 1e3 for job in fetched},
        "by_hand": {job.outputs[0]: job.by_hand.strip() for job in fetched if job.by_hand},
        "done": _done(job for job in jobs if not job.to_do),
    }


def exhibits(study: Study) -> list[str]:
    """List the names of a study's tables and figures; both may have the same."""
    return list(dict.fromkeys([*study.tables, *study.figures]))


def targets(study: Study, name: str, wanted: str) -> list[str]:
    """Return the files that a word means: `report`, a table, a figure, or a path as it is.

    Args:
        study: the study.
        name: its name.
        wanted: the word; a name that both a table and a figure have means both.

    Raises:
        UserError: there is no such table or figure, or the path is that of another study.
    """
    if "/" in wanted:
        folder, owner, *_ = Path(wanted).parts
        if folder == "results" and owner != name:
            raise UserError(f"{wanted}: not in results/{name}/, the results of {name}")
        return [wanted]
    if wanted == REPORT:
        return [f"results/{name}/report.html"]
    found = [f"results/{name}/tables/{wanted}.md"] if wanted in study.tables else []
    found += [f"results/{name}/figures/{wanted}.png"] if wanted in study.figures else []
    if not found:
        valid = {REPORT, *study.tables, *study.figures}
        raise UserError(unknown("table or figure", wanted, valid))
    return found


def missing_models(study: Study, jobs: Iterable[Job]) -> list[Given]:
    """List the models that the experiments of the jobs to do are given, but that are not there."""
    named = _named(jobs)
    given = [
        one
        for name, each in study.experiments.items()
        if name in named
        for one in each.given_models
    ]
    return [model for model in given if not files_of(model.file)]


def unknown_sizes(study: Study, costs: Costs, jobs: Iterable[Job]) -> list[str]:
    """Name the inputs of unknown size of the jobs to do."""
    known, named = study.catalogue, _named(jobs)
    models = {one.model for name, one in study.experiments.items() if name in named}
    found = [f"model {name}" for name in sorted(models) if known.models[name].cost is None]
    for name in filter(named.__contains__, study.datasets):
        if name not in costs.image_bytes and not known.datasets[name].listed:
            found.append(f"images of {name}")
        files = known.datasets[name].all_downloads.values()
        found += [f"{name}/{f.name}" for f in files if f.size is None and f.name in named]
    return found


def _named(jobs: Iterable[Job]) -> set[str]:
    """Return all parts of the paths that jobs have still to make, such as experiments."""
    to_do = [job for job in jobs if job.to_do]
    return {part for job in to_do for place in job.outputs for part in Path(place).parts}


def _step(jobs: Sequence[Job]) -> dict:
    """Add up the jobs of a rule."""
    to_do = [job for job in jobs if job.to_do]
    return {
        "rule": jobs[0].rule,
        "jobs": len(jobs),
        "to_do": len(to_do),
        "unit": "gpu" if jobs[0].gpu else "cpu",
        "hours": _hours(to_do),
        "longest_limit": max((job.minutes for job in to_do), default=0) / 60,
        "gigabytes": gigabytes(to_do),
    }


def _hours(jobs: Sequence[Job]) -> dict[str, float]:
    return {
        "estimate": sum(job.estimate_s for job in jobs) / 3600,
        "at_most": sum(job.minutes for job in jobs) / 60,
    }


def took(job: Job) -> float | None:
    """Return what a job took: the seconds that Snakemake noted, less those it waited for a GPU."""
    try:
        with open(job.benchmark or "", newline="") as stream:
            noted = sum(float(row["s"]) for row in csv.DictReader(stream, delimiter="\t"))
    except (OSError, ValueError, KeyError):
        return None
    return noted - waited(job.benchmark)


def _done(jobs: Iterable[Job]) -> dict[str, float]:
    """Add up what jobs took that have run."""
    seconds = [one for one in map(took, jobs) if one is not None]
    return {"jobs": len(seconds), "hours": sum(seconds) / 3600}


def _label(job: Job) -> str:
    return f"{job.rule} {job.outputs[0].removeprefix('results/').partition('/')[2]}"
