"""Bytes that a study fetches, and bytes that it keeps."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from negmerge.planning.assumptions import Assumptions
from negmerge.planning.jobs import Job
from negmerge.planning.networks import Network
from negmerge.settings.study import Study

# Folders of a task that hold states of the network's size.
STATES = ("finetuned", "vectors", "merged", "trained", "candidates", "unlearned")
# The rules whose outputs go, with `checkpoints: needed`, as soon as no job needs them any more.
INTERMEDIATE = ("finetune", "vector", "merge", "greedy", "unlearn")


def downloads(jobs: Iterable[Job], study: Study) -> list[dict]:
    """List the files to fetch by data set.

    Returns:
        A dictionary for each data set: `dataset`, `files`; of those not there yet `missing`,
        `bytes` (of those whose size is known) and `unknown` (files of unknown size); and `by_hand`,
        how a person gets each missing file that the workflow cannot get, by its place.
    """
    found: dict[str, dict] = {}
    for job in jobs:
        if job.rule != "download":
            continue
        dataset, _, name = job.name.partition("/")
        empty = {"files": 0, "missing": 0, "bytes": 0, "unknown": 0, "by_hand": {}}
        row = found.setdefault(dataset, {"dataset": dataset} | empty)
        row["files"] += 1
        (place,) = job.outputs
        if Path(place).exists():
            continue
        file = study.catalogue.datasets[dataset].downloads[name]
        row["missing"] += 1
        row["bytes"] += file.bytes or 0
        row["unknown"] += file.bytes is None
        if file.manual:
            row["by_hand"][place] = file.manual.strip()
    return [found[name] for name in sorted(found)]


def weights(jobs: Iterable[Job], study: Study, networks: Mapping[str, Network]) -> dict[str, int]:
    """List the trained weights that are fetched: by model, bytes of its state as float32."""
    making = {job.experiment for job in jobs if job.rule in ("base", "train") and job.pending}
    return {
        study.experiments[name].model: networks[name].state_bytes + networks[name].text_bytes
        for name in sorted(making)
        if networks[name].fetched
    }


def artefacts(
    jobs: Iterable[Job],
    study: Study,
    networks: Mapping[str, Network],
    assumed: Assumptions,
    keep: str = "all",
) -> list[dict]:
    """List what is written by kind.

    Args:
        jobs: all jobs.
        study: the study.
        networks: by experiment.
        assumed: the sizes of images.
        keep: `needed` drops each checkpoint as soon as no job needs it any more; `all` none.

    Returns:
        A dictionary for each kind: `kind`, `files`, `bytes` (of those whose size is known),
        `unknown` (files of unknown size), `there` (bytes on the disk already) and `dropped` (bytes
        of those that do not stay). What was dropped before does not count.
    """
    found: dict[str, dict] = {}
    for job in jobs:
        drops = keep == "needed" and job.rule in INTERMEDIATE
        for output in job.outputs:
            kind, size = _kept(job, output, study, networks, assumed)
            path = Path(output)
            there = path.stat().st_size if path.is_file() else 0
            if kind is None or (drops and not there and not job.pending):
                continue
            empty = {"files": 0, "bytes": 0, "unknown": 0, "there": 0, "dropped": 0}
            row = found.setdefault(kind, {"kind": kind} | empty)
            row["files"] += 1
            row["there"] += there
            row["bytes"] += there or size or 0
            row["unknown"] += not there and size is None
            row["dropped"] += (there or size or 0) if drops else 0
    return sorted(found.values(), key=lambda row: (-row["bytes"], row["kind"]))


def largest_pool(jobs: Iterable[Job], networks: Mapping[str, Network]) -> int:
    """Give the bytes of the largest pool of vectors still to be made: its merges read all of it."""
    pools: dict[tuple[str, str], int] = {}
    for job in jobs:
        if job.rule == "vector" and job.pending:
            place = job.experiment, job.task
            pools[place] = pools.get(place, 0) + networks[job.experiment].state_bytes
    return max(pools.values(), default=0)


def spool(jobs: Iterable[Job], study: Study, assumed: Assumptions) -> int | None:
    """Give the bytes of the largest second copy that preparing keeps for a while, if known."""
    sizes = [_prepared(j.name, study, assumed) for j in jobs if j.rule == "prepare" and j.pending]
    return None if None in sizes else max(sizes, default=0)


def _kept(
    job: Job, output: str, study: Study, networks: Mapping[str, Network], assumed: Assumptions
) -> tuple[str | None, int | None]:
    """Name the kind of an output and give its size; no kind for what is small."""
    if job.rule == "download":
        dataset, _, name = job.name.partition("/")
        return "downloads", study.catalogue.datasets[dataset].downloads[name].bytes
    if job.rule == "prepare":
        return "prepared data", _prepared(job.name, study, assumed)
    if not output.endswith(".safetensors") or job.rule == "gradcam":
        return None, None
    network, folder = networks[job.experiment], Path(output).parent.name
    if folder in STATES:
        # At most one candidate for each rule is kept.
        states = len(study.experiments[job.experiment].rule_names) if folder == "candidates" else 1
        return folder, states * network.state_bytes
    if job.rule == "head":
        classes = study.catalogue.datasets[job.name].classes
        return "bases and heads", 4 * classes * network.features
    text = Path(output).stem == "text"
    return "bases and heads", network.text_bytes if text else network.state_bytes


def _prepared(dataset: str, study: Study, assumed: Assumptions) -> int | None:
    each = assumed.image_bytes.get(dataset)
    images = sum(study.catalogue.datasets[dataset].splits.values())
    return None if each is None else round(each.value * images)
