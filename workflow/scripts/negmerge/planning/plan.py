"""A plan: what the jobs behind wanted files ask for."""

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from operator import itemgetter
from pathlib import Path

from negmerge.errors import UserError, unknown
from negmerge.planning.jobs import Job, list_jobs, require_workflow
from negmerge.settings.costs import Costs, load_costs
from negmerge.settings.given import Given, by_hand, files_of
from negmerge.settings.study import Study, load_study

# The rules whose files come from the internet.
FETCHING = ("download", "weights")
UNITS = {"gpu": "GPU h", "cpu": "CPU h"}


def make_plan(
    name: str,
    wanted: str = "report",
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
    study, costs = load_study(config, name, options=False), load_costs(config)
    files = targets(study, name, wanted)
    given, found = {"device": device} if device else {}, {}
    if measured:
        device, found = _measure(study, device, measured)
        given = {"device": device, "rates": found}
    if sys.stderr.isatty():
        print("asking Snakemake; a study of thousands of jobs takes a while", file=sys.stderr)
    jobs = list_jobs(files, given)
    missing = missing_models(study, jobs)
    return {
        "study": name,
        "targets": files,
        **add_up(jobs),
        "missing": by_hand(missing) if missing else None,
        "unknown": unknown_sizes(study, costs, jobs),
        "limit": costs.limit.model_dump(),
        "measured": {"device": device, "rates": found} if found else None,
    }


def _measure(study: Study, device: str | None, seconds: float) -> tuple[str, dict[str, dict]]:
    """Measure the networks of a study; return the device, and the rates by experiment."""
    # Here, since other plans need no torch.
    import torch

    from negmerge.devices import find_device
    from negmerge.planning.measuring import measure_study

    found = find_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    torch.set_num_threads(1)
    rates = measure_study(study, found, seconds / 2, lambda line: print(line, file=sys.stderr))
    return found.type, {name: one.model_dump() for name, one in rates.items()}


def add_up(jobs: Sequence[Job]) -> dict:
    """Add up what jobs ask for, those that are still to do; the longest steps first."""
    to_do = [job for job in jobs if job.to_do]
    fetched = [job for job in to_do if job.rule in FETCHING]
    steps = [_step([job for job in jobs if job.rule == rule]) for rule in {j.rule for j in jobs}]
    chain = longest_chain(to_do)
    return {
        "steps": sorted(steps, key=lambda step: (-step["hours"]["estimate"], step["rule"])),
        "hours": {
            unit: _hours([job for job in to_do if job.gpu == (unit == "gpu")]) for unit in UNITS
        },
        "chain": {"jobs": [_label(job) for job in chain], "hours": _hours(chain)},
        "disk": {
            "gigabytes": _gigabytes(to_do),
            "dropped": _gigabytes(job for job in to_do if job.drops),
        },
        "fetch": {job.outputs[0]: job.disk_mb / 1e3 for job in fetched},
        "by_hand": {job.outputs[0]: job.by_hand.strip() for job in fetched if job.by_hand},
        "done": _done(job for job in jobs if not job.to_do),
    }


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
    if wanted == "report":
        return [f"results/{name}/report.html"]
    found = [f"results/{name}/tables/{wanted}.md"] if wanted in study.tables else []
    found += [f"results/{name}/figures/{wanted}.png"] if wanted in study.figures else []
    if not found:
        valid = {"report", *study.tables, *study.figures}
        raise UserError(unknown("table or figure", wanted, valid))
    return found


def longest_chain(jobs: Iterable[Job]) -> list[Job]:
    """Return the chain of jobs that takes longest, however many machines there are."""

    @cache
    def ending_with(job: Job) -> tuple[float, tuple[Job, ...]]:
        before = [ending_with(earlier) for earlier in job.after if earlier in wanted]
        seconds, chain = max(before, default=(0, ()), key=itemgetter(0))
        return seconds + job.estimate_s, (*chain, job)

    wanted = dict.fromkeys(jobs)
    return list(max(map(ending_with, wanted), default=(0, ()), key=itemgetter(0))[1])


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
        if name not in costs.image_bytes:
            found.append(f"images of {name}")
        files = known.datasets[name].downloads.values()
        found += [f"{name}/{file.name}" for file in files if file.bytes is None]
    return found


def _named(jobs: Iterable[Job]) -> set[str]:
    """Return all parts of the paths that jobs have still to make, such as experiments."""
    to_do = [job for job in jobs if job.to_do]
    return {part for job in to_do for place in job.outputs for part in Path(place).parts}


def describe(plan: dict) -> Iterator[str]:
    """Print a plan: steps, totals, disk, downloads, and what is not known."""
    margin, start = (plan["limit"][key]["value"] for key in ("margin", "start"))
    yield f"{plan['study']}: {', '.join(plan['targets'])}"
    yield (
        "Hours are rough estimates, from config/costs.yaml. A job may take "
        f"{margin:g} times its estimate, and {start:g} minutes."
    )
    if plan["measured"]:
        yield f"Networks count as they were measured here, on {plan['measured']['device']}:"
        for name, rates in plan["measured"]["rates"].items():
            yield f"  {name}: {_rates(rates)}"
    yield ""
    rows = [["step", "jobs", "to do", "hours", "", "limits", "longest", "GB"]]
    for step in plan["steps"]:
        hours = step["hours"]
        row = [step["rule"], f"{step['jobs']:,}", f"{step['to_do']:,}", _number(hours["estimate"])]
        row += [UNITS[step["unit"]], _number(hours["at_most"]), _number(step["longest_limit"])]
        rows.append([*row, _number(step["gigabytes"])])
    yield from _table(rows)
    yield ""
    for unit, name in UNITS.items():
        if plan["hours"][unit]["estimate"]:
            yield f"{name} to do: {_both(plan['hours'][unit])}"
    chain = plan["chain"]
    if chain["jobs"]:
        yield f"Longest chain, with a machine for every job: {_both(chain['hours'])}:"
        yield f"  {' -> '.join(chain['jobs'])}"
    if plan["done"]["jobs"]:
        yield f"Took so far: {_number(plan['done']['hours'])} h for {plan['done']['jobs']:,} jobs"
    yield from _sizes(plan)


def _rates(rates: dict) -> str:
    return (
        f"{_number(rates['training'])} images a second in training, "
        f"{_number(rates['evaluation'])} in evaluation"
    )


def _sizes(plan: dict) -> Iterator[str]:
    disk, fetch = plan["disk"], plan["fetch"]
    line = f"Disk: {_number(disk['gigabytes'])} GB to write"
    if disk["dropped"]:
        line += (
            f", of which {_number(disk['dropped'])} GB are deleted as soon as no job needs them "
            "(`checkpoints: needed`)"
        )
    yield line
    if fetch:
        yield f"To fetch: {len(fetch)} files, {_number(sum(fetch.values()))} GB"
    for folder in dict.fromkeys(map(os.path.dirname, fetch)):
        sizes = [size for place, size in fetch.items() if os.path.dirname(place) == folder]
        yield f"  {folder}: {len(sizes)} files, {_number(sum(sizes))} GB"
    for place, how in plan["by_hand"].items():
        yield f"by hand: {place}: {how}"
    if plan["missing"]:
        yield f"by hand: {plan['missing']}"
    if plan["unknown"]:
        yield f"Of unknown size, assumed large: {', '.join(plan['unknown'])}"


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
        "gigabytes": _gigabytes(to_do),
    }


def _hours(jobs: Sequence[Job]) -> dict[str, float]:
    return {
        "estimate": sum(job.estimate_s for job in jobs) / 3600,
        "at_most": sum(job.minutes for job in jobs) / 60,
    }


def _gigabytes(jobs: Iterable[Job]) -> float:
    return sum(job.disk_mb for job in jobs) / 1e3


def _done(jobs: Iterable[Job]) -> dict[str, float]:
    """Add up what jobs took that have run, from Snakemake's benchmark files."""
    seconds = []
    for place in (Path(job.benchmark) for job in jobs if job.benchmark):
        if place.is_file():
            with open(place, newline="") as stream:
                seconds += [float(row["s"]) for row in csv.DictReader(stream, delimiter="\t")]
    return {"jobs": len(seconds), "hours": sum(seconds) / 3600}


def _label(job: Job) -> str:
    return f"{job.rule} {job.outputs[0].removeprefix('results/').partition('/')[2]}"


def _both(hours: dict) -> str:
    return f"{_number(hours['estimate'])}, limits {_number(hours['at_most'])}"


def _number(value: float) -> str:
    """Show two or three digits: no estimate has more."""
    if value >= 100 or value == 0:
        return f"{value:,.0f}"
    if value < 0.01:
        return "< 0.01"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        cells = [first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]
        yield "  ".join(cells).rstrip()
