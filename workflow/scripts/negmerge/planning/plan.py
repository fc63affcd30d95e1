"""A plan: what the files that a person asks for will take, beside what they took."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from negmerge.planning.assumptions import load_assumptions
from negmerge.planning.case import Work
from negmerge.planning.jobs import Job, read_jobs, require_workflow, start_snakemake, targets
from negmerge.planning.networks import Network, measure
from negmerge.planning.storage import artefacts, downloads, largest_pool, spool, weights
from negmerge.planning.times import Clock, longest_chain, total_hours
from negmerge.planning.work import work_of
from negmerge.settings.study import Study, load_study
from negmerge.settings.yaml_files import read_yaml


def make_plan(name: str, wanted: str = "report", config: str | Path = "config") -> dict:
    """Plan a study, or a part of it, without running anything.

    It must run where the workflow lies, since Snakemake says which jobs there are.

    Args:
        name: the study's name.
        wanted: `report`, a table, a figure, or a path as Snakemake takes it.
        config: the configuration folder.

    Returns:
        What `layout.describe` prints, as JSON values; sizes are in bytes.

    Raises:
        UserError: a mistake in a name or a file, or what Snakemake says is wrong.
    """
    require_workflow()
    study, assumed = load_study(config, name), load_assumptions(config)
    files = targets(study, name, wanted)
    settings = read_yaml(Path(config) / "config.yaml", dict)
    with start_snakemake(files) as process:
        if sys.stderr.isatty():
            print("asking Snakemake; a study of thousands of jobs takes a minute", file=sys.stderr)
        try:
            # Meanwhile, since torch takes seconds to import.
            networks = _networks(study)
            jobs = read_jobs(process, study, name, settings["data"])
        except BaseException:
            process.kill()
            raise
    works = {job: work_of(job, study, networks) for job in jobs}
    clock = Clock(assumed, study)
    seconds = {
        job: clock.seconds(job, work, networks.get(job.experiment)) for job, work in works.items()
    }
    chain, longest = longest_chain({job: seconds[job] for job in jobs if job.pending}, study)
    steps = _steps(jobs, works, seconds, clock)
    used = {job.experiment for job in jobs if job.experiment}
    extra = spool(jobs, study, assumed)
    written = artefacts(jobs, study, networks, assumed, settings.get("checkpoints", "all"))
    dropped = sum(row["dropped"] for row in written)
    return {
        "study": name,
        "targets": files,
        "steps": steps,
        "hours": {unit: _hours(steps, unit) for unit in ("gpu", "cpu")},
        "grids": _grids(works, seconds),
        "chain": {"jobs": chain, "seconds": longest},
        "downloads": downloads(jobs, study),
        "weights": weights(jobs, study, networks),
        "disk": written,
        "peak": {
            "end": sum(row["bytes"] for row in written) - dropped,
            "dropped": dropped,
            "pool": largest_pool(jobs, networks) if dropped else 0,
            "spool": extra,
        },
        "models": _models(study, {key: networks[key] for key in sorted(used)}, clock),
        "assumptions": assumed.model_dump(),
        "device": study.device,
    }


def _networks(study: Study) -> dict[str, Network]:
    """Measure the network of each experiment, each kind once."""
    known, found, kinds = study.catalogue, {}, {}
    for name, experiment in study.experiments.items():
        kind = experiment.model, known.datasets[experiment.datasets[0]].classes
        if kind not in kinds:
            kinds[kind] = measure(known.models[experiment.model], kind[1])
        found[name] = kinds[kind]
    return found


def _steps(
    jobs: Sequence[Job],
    works: dict[Job, Work | None],
    seconds: dict[Job, float | None],
    clock: Clock,
) -> list[dict]:
    """Put the jobs together by rule, those that take longest first."""
    by_rule = defaultdict(list)
    for job in jobs:
        by_rule[job.rule].append(job)
    steps = []
    for rule, own in by_rule.items():
        known = [seconds[job] for job in own if seconds[job] is not None]
        todo = [job for job in own if job.pending]
        bases = sorted({work.basis for job in own if (work := works[job]) is not None})
        measured = [job for job in own if Path(job.benchmark).is_file()]
        steps.append(
            {
                "rule": rule,
                "jobs": len(own),
                "to_do": len(todo),
                "unit": "gpu" if clock.on_gpu(rule) else "cpu",
                "seconds_least": min(known, default=None),
                "seconds_mean": sum(known) / len(known) if known else None,
                "seconds_most": max(known, default=None),
                "hours_all": total_hours([seconds[job] for job in own]),
                "hours_to_do": total_hours([seconds[job] for job in todo]),
                "unknown": len(own) - len(known),
                "basis": bases,
                "images": _images(works[job] for job in own),
                "measured": _measured(measured, seconds),
            }
        )
    return sorted(steps, key=lambda step: (-step["hours_all"], step["rule"]))


def _images(works: Iterable[Work | None]) -> dict[str, float]:
    """Add up the images of all jobs of a rule by what is done with them, without what is 0."""
    kinds = ("trained", "passed", "pruned", "loaded", "prompts")
    found = [work for work in works if work is not None]
    sums = {kind: sum(getattr(work, kind) for work in found) for kind in kinds}
    return {kind: total for kind, total in sums.items() if total}


def _measured(jobs: Sequence[Job], seconds: dict[Job, float | None]) -> dict | None:
    """Say what the jobs of a rule took that have run, beside what is assumed for these."""
    if not jobs:
        return None
    # Here, since pandas takes a second to import.
    from negmerge.reporting.runtime import rule_times

    (found,) = rule_times(job.benchmark for job in jobs)
    assumed = [seconds[job] for job in jobs]
    return {
        "jobs": found.jobs,
        "seconds_mean": found.mean_s,
        "hours": found.total_s / 3600,
        "memory_mb": found.memory_mb,
        "assumed_hours": None if None in assumed else total_hours(assumed),
    }


def _hours(steps: Sequence[dict], unit: str) -> dict[str, float]:
    own = [step for step in steps if step["unit"] == unit]
    taken = [step["measured"]["hours"] for step in own if step["measured"]]
    return {
        "all": sum(step["hours_all"] for step in own),
        "to_do": sum(step["hours_to_do"] for step in own),
        "measured": sum(taken),
    }


def _grids(works: dict[Job, Work | None], seconds: dict[Job, float | None]) -> dict:
    """Say what the grids of methods that train add to a model each; all at most."""
    searched = {job: work.models for job, work in works.items() if work and work.models > 1}
    more = [(seconds[job] or 0) * (1 - 1 / models) for job, models in searched.items()]
    return {"jobs": len(searched), "models": sum(searched.values()), "hours": sum(more) / 3600}


def _models(study: Study, networks: dict[str, Network], clock: Clock) -> list[dict]:
    """Say for each experiment how fast its network is assumed to be, in images per second."""
    return [
        {
            "experiment": name,
            "model": study.experiments[name].model,
            "parameters": network.parameters,
            "gflop": network.image_flops / 1e9,
            "trained_per_s": clock.rate(
                network, study.experiments[name], "finetune", clock.assumed.training.value
            ),
            "passed_per_s": clock.rate(network, study.experiments[name], "sweep", 1),
            "loaded_per_s": 1 / clock.assumed.load_seconds(network.size),
        }
        for name, network in networks.items()
    ]
