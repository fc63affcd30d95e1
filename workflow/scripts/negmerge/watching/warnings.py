"""What a person should look at while a study runs: choices at the end of a grid, and divergence."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from negmerge.checkpoints.divergence import DIVERGED, sift
from negmerge.errors import UserError
from negmerge.planning.jobs import Job
from negmerge.reporting.cells import MARKS
from negmerge.reporting.metrics import read_records
from negmerge.selection.points import read_points
from negmerge.settings.methods import CHOSEN

ENDS = ("upper_end", "lower_end")
MEANS = {end: MARKS[end].text for end in ENDS} | {
    DIVERGED: "its numbers became NaN or infinite in training, so it was left out."
}


def warnings(done: Iterable[Job]) -> list[dict]:
    """List what to look at, from what jobs that are done have written.

    Returns:
        For each thing to look at `about`, its name; `means`, what it means; and `cells`, where:
        `experiment/task/method`, and the setting. A file that is missing, as in a copy, tells
        nothing.
    """
    cells: dict[str, list[str]] = {about: [] for about in MEANS}
    for path in (Path(output) for job in done for output in job.outputs):
        with suppress(UserError):
            if path.parent.name == "selected":
                for about, cell in _ends_of_grids(path):
                    cells[about].append(cell)
            elif path.parent.name in ("vectors", "sweeps", "scores"):
                cells[DIVERGED] += _diverged(path)
    return [
        {
            "about": about.replace("_", " "),
            "means": MEANS[about],
            "cells": list(dict.fromkeys(found)),
        }
        for about, found in cells.items()
        if found
    ]


def _ends_of_grids(path: Path) -> Iterator[tuple[str, str]]:
    for choice in read_records(path):
        place = f"{choice['experiment']}/{choice['task']}/{choice['method']}"
        for end in ENDS:
            if MARKS[end].applies(choice):
                chosen = f"{choice['vector']} at {choice['coefficient']:.10g}"
                yield end, f"{place}: {chosen} (rule {choice['rule']})"


def _diverged(path: Path) -> Iterator[str]:
    """Yield what diverged: a point of a pool, or a model that a method tried.

    A vector may be gone when nothing needs it any more; scores still name it.
    """
    experiment, task, folder, _ = path.parts[-4:]
    if folder == "vectors":
        _, points = sift([path])
        yield from (f"{experiment}/{task}: {point}" for point in points)
    elif folder == "scores":
        found = [record for record in read_records(path) if record.get("kind") in CHOSEN]
        names = (name for record in found for name in record.get(DIVERGED, ()))
        yield from (f"{experiment}/{task}: {point}" for point in names)
    else:
        trained = (point for point in read_points(path) if point.options and not point.accuracy)
        yield from (f"{experiment}/{task}/{path.stem}: {point.vector}" for point in trained)
