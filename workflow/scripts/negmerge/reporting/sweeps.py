"""Sweeps on validation images and the choices among them, which tables and figures show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from negmerge.checkpoints.divergence import DIVERGED
from negmerge.errors import UserError
from negmerge.reporting.kinds import MERGES, FigureKind
from negmerge.reporting.records import read_main_records
from negmerge.scenarios.classifier.scenario import GAP_OF
from negmerge.settings import methods

if TYPE_CHECKING:
    import pandas as pd

COUNTS = ("forget_correct", "forget_n", "control_correct", "control_n")
LABELS = ("experiment", "task", "vector")
# The series of single models in what a figure draws, and their label.
SINGLE, SINGLES = "single", "single models"
# The measure of classifiers, in points.
GAP = "gap"


class OfSweeps(FigureKind):
    """What figures of single models and merges on validation images have in common."""

    scenarios = ("zero-shot",)

    def records(self, experiment, folder, shown):
        vectors = [*experiment.pool.changes, *(m for m in shown if methods.kind(m) in MERGES)]
        chosen = [method for method in shown if experiment.is_searched(method)]
        return {
            "sweeps": [f"{folder}/sweeps/{vector}.csv" for vector in vectors],
            "selected": [f"{folder}/selected/{method}.json" for method in chosen],
        }

    def read(self, sweeps: Sequence[str]) -> pd.DataFrame:
        return read_sweeps(sweeps)

    def draw(self, figure, sweeps, selected, **others):
        """Draw a figure, and name the points that merges lack below it, as tables do."""
        from negmerge.reporting.notes import diverged_notes

        measured = self.read(sweeps, **others)
        data = self.data(figure, measured, read_main_records(selected))
        picture, labels = self.plot(figure, data), figure["methods"]
        methods = merge_of(measured["vector"])
        merges = measured[methods.isin(list(labels)) & measured[DIVERGED].ne("")]
        lines = diverged_notes(merges.assign(row=methods.map(labels), models=None))
        if lines:
            picture.supxlabel("\n".join(lines), fontsize=8)
        return picture, data


def read_sweeps(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Read sweeps into one frame: labels, coefficient, and accuracies in percent."""
    import pandas as pd

    counts = pd.concat(map(read_counts, paths), ignore_index=True)
    percent = counts[[*LABELS, "coefficient", DIVERGED]].assign(
        forget=100 * counts["forget_correct"] / counts["forget_n"],
        control=100 * counts["control_correct"] / counts["control_n"],
    )
    percent = percent[percent["forget"].notna()]
    return percent.sort_values([*LABELS, "coefficient"], ignore_index=True)


def read_gaps(sweeps: Iterable[str | Path], retrain: Iterable[str | Path]) -> pd.DataFrame:
    """Read sweeps of classifiers: labels, coefficient, and the average gap to Retrain in points."""
    import pandas as pd

    measured, reference = (
        pd.concat(map(_read_measures, paths), ignore_index=True) for paths in (sweeps, retrain)
    )
    place = ["experiment", "task"]
    both = measured.merge(reference[[*place, *GAP_OF]], on=place, suffixes=("", "_retrain"))
    gaps = [(both[name] - both[f"{name}_retrain"]).abs() for name in GAP_OF]
    measured = both[[*LABELS, "coefficient", DIVERGED]].assign(**{GAP: sum(gaps) / len(gaps)})
    measured = measured[measured[GAP].notna()]
    return measured.sort_values([*LABELS, "coefficient"], ignore_index=True)


def _read_measures(path: str | Path) -> pd.DataFrame:
    """Read a sweep of a classifier: labels, coefficient, and each part of the gap in percent."""
    import pandas as pd

    try:
        sweep = pd.read_csv(path, dtype=dict.fromkeys((*LABELS, DIVERGED), str))
        parts = {
            name: sweep[name]
            if name in sweep
            else 100 * sweep[f"{name}_correct"] / sweep[f"{name}_n"]
            for name in GAP_OF
        }
        missing = sweep.get(DIVERGED, pd.Series(index=sweep.index, dtype=str)).fillna("")
        return sweep[[*LABELS, "coefficient"]].assign(**parts, **{DIVERGED: missing})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a sweep ({error}); delete it and run again") from error


def merge_of(vectors: pd.Series) -> pd.Series:
    """Return the method of merged vectors, such as `ties` of `ties.density0.2`."""
    return vectors.str.partition(".")[0]


def read_counts(path: str | Path) -> pd.DataFrame:
    """Read a sweep: labels, coefficient, and right answers by role, NaN where it diverged."""
    import pandas as pd

    numbers = ["coefficient", *COUNTS]
    try:
        text, empty = dict.fromkeys((*LABELS, DIVERGED), str), {key: [""] for key in COUNTS}
        sweep = pd.read_csv(path, dtype=text, keep_default_na=False, na_values=empty)
        sweep = sweep.assign(**{DIVERGED: sweep.get(DIVERGED, "")})
        if sweep.empty:
            raise ValueError("no rows")
        return sweep[[*LABELS, *numbers, DIVERGED]].astype(dict.fromkeys(numbers, float))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a sweep ({error}); delete it and run again") from error


def threshold(selected: Sequence[Mapping], experiment: str, task: str) -> float:
    """Return the control accuracy that must be kept, in percent."""
    for choice in selected:
        here = (choice["experiment"], choice["task"]) == (experiment, task)
        if here and choice["control_baseline"] is not None:
            return choice["keep"] * choice["control_baseline"]
    raise UserError(
        f"{experiment}/{task}: no method of the figure has a chosen coefficient, so the control "
        "accuracy to keep is not known; add one to the figure's `methods`"
    )
