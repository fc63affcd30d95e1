"""Measure the forward passes of the pruned coefficient search against full sweeps.

    python benchmarks/search.py [RESULTS] [DATA]    (default: results/demo-full data)

It needs a finished run of the study `demo-full`. For each task it searches the coefficient of every
merged vector and of the best single model of the pool, with the model and the validation images, on
the study's grid and on the paper's (0 to 1), and checks that the choice is that of the full sweep.
The images counted go to benchmarks/search.json and, as Markdown, between the `search` marks of
docs/dev/measurements.md.
"""

import json
import sys
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch
from marks import MEASUREMENTS, ROOT, write_between

from negmerge.checkpoints.states import read_state
from negmerge.evaluation.outcomes import Accuracy
from negmerge.scenarios import load_task
from negmerge.scenarios.validation import load_validation
from negmerge.scenarios.zero_shot.settings import ZeroShot
from negmerge.selection.choice import Criterion
from negmerge.selection.points import Point
from negmerge.selection.search import CoefficientGrid, explore, search
from negmerge.selection.validation import Validation
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.selection import Coefficients, Selection
from negmerge.settings.study import load_study

STUDY, EXPERIMENT = "demo-full", "mini-clip"


def counted(validation: Validation, files: dict[str, Path]):
    """Count each batch at each coefficient once; later counts are looked up."""
    return cache(validation.counting(lambda name: (read_state(files[name]), files[name])))


def full(validation: Validation, count, name: str, grid: list[float], criterion, halvings: int):
    """Make the full sweep of one vector, with the halvings beside its choice."""

    def measure(coefficient: float) -> Point:
        accuracy = {}
        for role, sizes in validation.sizes.items():
            right = sum(count(name, coefficient, role, batch) for batch in range(len(sizes)))
            accuracy[role] = Accuracy(right, sum(sizes))
        return Point(name, coefficient, accuracy)

    return explore(measure(0.0), 0.0, CoefficientGrid(grid), measure, [criterion], halvings)


def measure(validation: Validation, count, names: list[str], grid: list[float], how: Selection):
    """Search among vectors and compare with their sweeps."""
    chosen = search(names, grid, validation.sizes, count, how.keep, how.halvings)
    criterion = Criterion(how.rule, how.keep)
    points = [p for n in names for p in full(validation, count, n, grid, criterion, how.halvings)]
    assert chosen.choices == [criterion.choose(points)], names
    return {
        "choice": asdict(chosen.choices[0]),
        "images": chosen.passes,
        "images_full": chosen.passes_full,
        "share": round(chosen.passes / chosen.passes_full, 4),
    }


def measure_task(
    experiment: ZeroShot, known: Catalogue, folder: Path, data: Path, task: str
) -> dict:
    """Measure all merges and the best single model of one task."""
    inputs = {
        name: str(data / what / "images.safetensors" if kind == "images" else folder / what)
        for name, (kind, what) in experiment.inputs(task, experiment.ROLES).items()
    }
    base, batch = str(folder / "base.safetensors"), experiment.eval_batch_size
    device = torch.device("cpu")
    torch.set_num_threads(1)
    start = time.monotonic()
    scenario = load_task(experiment.job(task, known), inputs, device)
    how = {"batch_size": batch, "most": None, "re_estimates": False}
    validation = load_validation(scenario, base, **how)
    merges = {path.stem: path for path in sorted(folder.glob(f"{task}/merged/*.safetensors"))}
    points = {path.stem: path for path in sorted(folder.glob(f"{task}/vectors/*.safetensors"))}
    grids = {"study": experiment.coefficients.values, "paper": Coefficients().values}
    count = counted(validation, merges | points)
    result = {"images": {role: sum(sizes) for role, sizes in validation.sizes.items()}}
    for label, grid in grids.items():
        found = {
            name: measure(validation, count, [name], grid, experiment.selection) for name in merges
        }
        found["task-arithmetic"] = measure(
            validation, count, list(points), grid, experiment.selection
        )
        result[f"{label} grid to {grid[-1]:g}"] = found
        for name, one in found.items():
            print(f"{task}, {label} grid to {grid[-1]:g}, {name}: {100 * one['share']:.1f} %")
    print(f"{task}: {time.monotonic() - start:.0f} s")
    return result


def markdown(record: dict) -> str:
    """Describe the record."""
    lines = [
        "Validation images that the search for a coefficient counts, in percent of those of whole",
        f"sweeps, by `benchmarks/search.py` on `demo-full` with {record['halvings']} "
        "halvings after the grid. The choices are the same. Counted, so the same on any machine.",
        "",
        "| forgotten | grid | merges: mean, least to most | best single model of the pool |",
        "| --- | --- | ---: | ---: |",
    ]
    for task, found in record["tasks"].items():
        for grid in (name for name in found if name != "images"):
            shares = {name: 100 * one["share"] for name, one in found[grid].items()}
            single = shares.pop("task-arithmetic")
            merges = sorted(shares.values())
            mean = sum(merges) / len(merges)
            spread = f"{mean:.0f}, {merges[0]:.0f} to {merges[-1]:.0f}"
            lines.append(f"| {task} | {grid} | {spread} | {single:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    results = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "results" / STUDY)
    data = Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "data")
    if not (results / EXPERIMENT).is_dir():
        sys.exit(f"error: {results}: no finished run; run `make STUDY={STUDY}` first")
    study = load_study(ROOT / "config", STUDY)
    experiment = study.experiments[EXPERIMENT]
    measured = {
        task: measure_task(experiment, study.catalogue, results / EXPERIMENT, data, task)
        for task in experiment.tasks
    }
    halvings = experiment.selection.halvings
    record = {"study": STUDY, "batch": experiment.eval_batch_size, "halvings": halvings}
    record |= {"tasks": measured}
    (ROOT / "benchmarks" / "search.json").write_text(json.dumps(record, indent=2) + "\n")
    write_between(MEASUREMENTS, "search", markdown(record))
