"""The jobs that a target needs, as Snakemake knows them, and which of them are done already."""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from negmerge.errors import UserError, unknown
from negmerge.settings.study import Study

# Rules with one job for an experiment, or for a task of it, so that their jobs have no other name.
NAMELESS = ("base", "split")
COLUMNS = ("output_file", "date", "rule", "log-file(s)", "status", "plan")


@dataclass(frozen=True)
class Job:
    """A job.

    Attributes:
        rule: what it does.
        outputs: its files.
        pending: whether it has still to run.
        benchmark: where Snakemake notes what it took.
        experiment, task: where it belongs, if anywhere; "" if not.
        name: what tells it from the others: a point, a method, a data set; "" if nothing does.
    """

    rule: str
    outputs: tuple[str, ...]
    pending: bool
    benchmark: str
    experiment: str = ""
    task: str = ""
    name: str = ""


def targets(study: Study, name: str, wanted: str) -> list[str]:
    """Give the files that a word means: `report`, a table, a figure, or a path as it is.

    Args:
        study: the study.
        name: its name.
        wanted: the word; a name that both a table and a figure have means both.

    Raises:
        UserError: there is no such table or figure.
    """
    if "/" in wanted:
        return [wanted]
    if wanted == "report":
        return [f"results/{name}/report.html"]
    found = [f"results/{name}/tables/{wanted}.md"] if wanted in study.tables else []
    found += [f"results/{name}/figures/{wanted}.png"] if wanted in study.figures else []
    if not found:
        valid = {"report", *study.tables, *study.figures}
        raise UserError(unknown("table or figure", wanted, valid))
    return found


def require_workflow() -> None:
    """Check that Snakemake can be asked here.

    Raises:
        UserError: Snakemake is not installed, or there is no workflow in the working folder.
    """
    if find_spec("snakemake") is None:
        raise UserError("Snakemake is not installed, and it knows the jobs; `make` installs it")
    if not Path("Snakefile").is_file():
        raise UserError("no Snakefile in this folder; run the command where the workflow lies")


def start_snakemake(files: Iterable[str]) -> subprocess.Popen:
    """Start Snakemake, which lists the jobs behind some files and runs none."""
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--summary", "--", *files],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_jobs(process: subprocess.Popen, study: Study, name: str, data: str) -> list[Job]:
    """Wait for Snakemake and read its list.

    Args:
        process: from `start_snakemake`.
        study: the study.
        name: its name.
        data: the folder of prepared data sets.

    Raises:
        UserError: what Snakemake says is wrong, in one line.
    """
    out, err = process.communicate()
    if process.returncode:
        raise UserError(_reason(err))
    lines = out.splitlines()
    if not lines or tuple(lines[0].split("\t")) != COLUMNS:
        raise UserError(f"Snakemake listed no jobs, but: {' '.join(lines[:1]) or 'nothing'}")
    found: dict[str, Job] = {}
    for line in lines[1:]:
        row = dict(zip(COLUMNS, line.split("\t"), strict=True))
        job = _job(row["rule"], row["output_file"], study, name, data)
        pending = row["plan"] == "update pending"
        earlier = found.get(job.benchmark)
        outputs = (*(earlier.outputs if earlier else ()), row["output_file"])
        pending = pending or bool(earlier and earlier.pending)
        found[job.benchmark] = Job(**vars(job) | {"outputs": outputs, "pending": pending})
    return list(found.values())


def _job(rule: str, output: str, study: Study, name: str, data: str) -> Job:
    """Tell from the place of an output which job makes it.

    Raises:
        UserError: the place is that of another study.
    """
    path, results, prepared = PurePosixPath(output), f"results/{name}", PurePosixPath(data)
    if path.is_relative_to(prepared):
        # data/{dataset}/images.safetensors, data/downloads/{dataset}/{file}, data/weights/{model}
        parts = path.relative_to(prepared).parts
        label = "/".join(parts[1:]) if rule in ("download", "weights") else parts[0]
        return Job(rule, (), False, f"{data}/benchmarks/{rule}/{label}.tsv", name=label)
    if not path.is_relative_to(results):
        raise UserError(f"{output}: not in {results}/, where the results of study {name} lie")
    parts = path.relative_to(results).parts
    experiment = parts[0] if parts[0] in study.experiments else ""
    tasks = study.experiments[experiment].task_names if experiment else ()
    task = parts[1] if experiment and parts[1] in tasks else ""
    label = "" if rule in NAMELESS else path.stem
    place = "/".join(filter(None, (experiment, task, label)))
    return Job(rule, (), False, f"{results}/benchmarks/{rule}/{place}.tsv", experiment, task, label)


def _reason(err: str) -> str:
    """Find the line in which Snakemake, or a rule of the workflow, says what is wrong."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    ours = [line for line in lines if line.startswith("error: ")]
    if ours:
        return ours[-1].removeprefix("error: ")
    places = [number for number, line in enumerate(lines) if _is_exception(line)]
    told: Sequence[str] = lines[places[0] : places[0] + 2] if places else lines[-1:]
    return f"Snakemake: {' '.join(told) or 'it failed and did not say why'}"


def _is_exception(line: str) -> bool:
    return line.split(" ")[0].rstrip(":").endswith(("Exception", "Error"))
