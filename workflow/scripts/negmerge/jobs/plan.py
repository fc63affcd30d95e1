"""What is still to do of a study, added up for each table and figure."""

from collections.abc import Collection, Iterable
from pathlib import Path

from negmerge.errors import find
from negmerge.jobs import needs
from negmerge.jobs.listing import Job, list_jobs, require_workflow
from negmerge.jobs.work import Costs, load_costs
from negmerge.paths import drawn_sweeps
from negmerge.settings.study import Study, load_study

# The rules whose files come from the internet, or from a person.
FETCHING = ("download", "weights")
# What stands for all tables and figures.
REPORT = "report"
ADDED = ("gpu_hours", "cpu_hours", "fetch_gigabytes", "write_gigabytes")


def make_plan(name: str, device: str | None = None, config: str | Path = "config") -> dict:
    """Add up what the jobs of a study need that are still to do, in the folder of the workflow.

    `device` is a name in `config/costs.yaml`; by default it is the one of the study. `rows` are by
    table, figure and `report`: how many `jobs`; `gpu_hours` and `cpu_hours`, one job after the
    other; `gpu_gigabytes`, the most that a job needs of a GPU; `fetch_gigabytes` and
    `write_gigabytes`. The plan also has the title of the `device`, what is of `unknown` size, and
    `cautions` about choices that too few items make.
    """
    require_workflow()
    study, costs = load_study(config, name, options=False), load_costs(config)
    if device:
        find("device", device, costs.devices)
    jobs = list_jobs(
        targets(study, name, REPORT),
        {"device": "cpu" if device == "cpu" else "cuda"} if device else {},
    )
    device = device or ("cuda" if any(job.gpu for job in jobs) else "cpu")
    drawn, needed = drawn_sweeps(study), {}
    for job in filter(lambda job: job.to_do, jobs):
        experiment = study.experiments.get(job.wildcards.get("experiment"))
        known = study.catalogue, costs, experiment, study.compute.precision, device, drawn
        needed[id(job)] = _need(job, needs.Case(job.wildcards, *known))
    rows = {}
    for part in dict.fromkeys([*study.tables, *study.figures, REPORT]):
        of_part = [needed[id(j)] for j in _behind(jobs, targets(study, name, part)) if j.to_do]
        sums = {key: float(sum(need[key] for need in of_part)) for key in ADDED}
        most = max((need["gpu_gigabytes"] for need in of_part), default=0.0)
        rows[part] = {"jobs": len(of_part)} | sums | {"gpu_gigabytes": most}
    title, unknown = costs.devices[device].title, unknown_sizes(jobs, study, costs)
    return {"study": name, "device": title, "rows": rows} | {
        "unknown": unknown,
        "cautions": study.cautions(),
    }


def targets(study: Study, name: str, wanted: str) -> list[str]:
    """Return the files of the report, or of a table or figure; both may have the same name."""
    if wanted == REPORT:
        return [f"results/{name}/{REPORT}.html"]
    kinds = (study.tables, "tables", "md"), (study.figures, "figures", "png")
    return [f"results/{name}/{kind}/{wanted}.{end}" for of, kind, end in kinds if wanted in of]


def _behind(jobs: list[Job], files: Collection[str]) -> list[Job]:
    """Return those of the jobs that some files need."""
    waiting = [place for place, job in enumerate(jobs) if not set(files).isdisjoint(job.outputs)]
    places = set()
    while waiting:
        place = waiting.pop()
        if place not in places:
            places.add(place)
            waiting += jobs[place].after
    return [jobs[place] for place in sorted(places)]


def _need(job: Job, case: needs.Case) -> dict[str, float]:
    work = needs.step_of(job.rule)(case)
    loaders = needs.LOADERS if job.gpu else 0
    hours = work.seconds(case.costs, case.device, case.precision, loaders) / 3600
    return {
        "gpu_hours": hours if job.gpu else 0,
        "cpu_hours": 0 if job.gpu else hours,
        "gpu_gigabytes": work.memory.of_gpu(case.costs.memory) / 1e9 if job.gpu else 0.0,
        "fetch_gigabytes": work.written / 1e9 if job.rule in FETCHING else 0,
        "write_gigabytes": work.written / 1e9,
    }


def unknown_sizes(jobs: Iterable[Job], study: Study, costs: Costs) -> list[str]:
    """Name the inputs of the jobs to do whose size is not known, and assumed to be large."""
    known, unknown = study.catalogue, {}
    for job in filter(lambda job: job.to_do, jobs):
        dataset, name = job.wildcards.get("dataset"), job.wildcards.get("experiment")
        if name and known.models[study.experiments[name].model].cost is None:
            unknown[f"model {study.experiments[name].model}"] = None
        if job.rule == "download":
            file = known.downloads(dataset)[job.wildcards["file"]]
            unknown |= {f"{dataset}/{file.name}": None} if file.size is None else {}
        if job.rule in ("prepare", "prepare_questions") and dataset not in costs.image_bytes:
            unknown |= {} if known.datasets[dataset].listed else {f"images of {dataset}": None}
    return list(unknown)
