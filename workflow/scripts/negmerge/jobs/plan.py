"""What a study needs: what is still to do, by table and figure, and what comes from elsewhere."""

import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from negmerge.errors import find
from negmerge.jobs import needs
from negmerge.jobs.listing import Job, list_jobs, require_workflow
from negmerge.jobs.work import Costs, load_costs
from negmerge.paths import drawn_sweeps
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.datasets import ORIGINAL, choose, prepared_from
from negmerge.settings.downloads import Download
from negmerge.settings.load import load_yaml
from negmerge.settings.study import Study, load_study

# In the folder of the workflow.
CONFIG = "config"
# The rules whose files come from the internet, or from a person.
FETCHING = ("download", "weights")
# What stands for all tables and figures.
REPORT = "report"
ADDED = ("gpu_hours", "cpu_hours", "fetch_gigabytes", "write_gigabytes")


def make_plan(name: str, device: str | None = None) -> dict:
    """Add up what the jobs of a study need that are still to do, in the folder of the workflow.

    `device` is a name in `config/costs.yaml`; by default it is the one of the study. `rows` are by
    table, figure and `report`: how many `jobs`; `gpu_hours` and `cpu_hours`, one job after the
    other; `gpu_gigabytes`, the most that a job needs of a GPU; `fetch_gigabytes` and
    `write_gigabytes`. The plan also has the title of the `device`, what is of `unknown` size, and
    `cautions` about choices that too few items make.
    """
    require_workflow()
    study, costs = load_study(CONFIG, name, options=False), load_costs(CONFIG)
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


def overview(name: str) -> dict:
    """Tell what a study needs from elsewhere and what of it is there; no file is opened."""
    study = load_study(CONFIG, name, options=False)
    settings, known = load_yaml(Path(CONFIG) / "config.yaml"), study.catalogue
    data, sources = Path(settings.get("data", "data")), settings.get("data_sources")
    weights = []
    for model in sorted({m for row in study.experiments.values() for m in row.weights(known)}):
        row, present = known.fetched(model), (data / "weights" / model).is_file()
        if row.is_fetched:
            hub = row.hub
            size = (hub.bytes or hub.about_bytes) if hub else None
            facts = {"repository": hub and hub.repository, "revision": hub and hub.revision}
            weights.append({"model": model} | facts | {"bytes": size, "present": present})
        elif file := row.download:
            present = (data / "downloads" / model / file.name).is_file()
            facts = {"repository": urlsplit(file.urls[0]).netloc if file.urls else "by hand"}
            facts |= {"revision": None, "bytes": file.size, "present": present}
            weights.append({"model": model} | facts)
    sets = [_set(dataset, known, data, sources) for dataset in study.datasets]
    return {"study": name, "sets": sets, "weights": weights}


def fetch(name: str) -> int:
    """Fetch what a study needs from elsewhere, as the target `downloads` does; give its status."""
    require_workflow()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", f"study={name}"]
    return subprocess.run([*command, "--", "downloads"]).returncode


def _set(name: str, known: Catalogue, data: Path, sources: Mapping | None) -> dict:
    row, mirror = known.datasets[name], choose(name, known.datasets, data, sources)
    files = [f for f in (mirror or row).files.values() if isinstance(f, Download)]
    folder = data / "downloads" / (row.downloads_of or name)
    places = {file.name: folder / file.name for file in files}
    if mirror:
        source = mirror.name
    else:
        source = ORIGINAL if files else "files here" if row.files else "made here"
    prepared = data / name / row.prepared
    is_images = prepared.suffix == ".safetensors"
    there = [
        place.is_file() and file.bytes in (None, place.stat().st_size)
        for place, file in ((places[file.name], file) for file in files)
    ]
    return {
        "name": name,
        "title": row.title,
        "source": source,
        "addresses": [file.urls[0] for file in files if file.urls],
        "files": len(files),
        "present": sum(there),
        "bytes": sum(file.size or 0 for file in files),
        "unknown": [file.name for file in files if file.size is None],
        "by_hand": any(file.manual for file in files),
        "missing_by_hand": [f.name for f in files if f.manual and not places[f.name].is_file()],
        "prepared": prepared_from(prepared) is not None if is_images else prepared.is_file(),
        "licence": row.licence,
        "differs": mirror.differs if mirror else None,
    }
