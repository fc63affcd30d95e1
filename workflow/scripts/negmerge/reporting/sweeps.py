"""Reading what figures are drawn from: sweeps on validation images, and the choices among them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from negmerge.errors import UserError

COUNTS = ("forget_correct", "forget_n", "control_correct", "control_n")
LABELS = ("experiment", "task", "vector")


def read_sweeps(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Read sweeps into one frame: labels, coefficient, and accuracies in percent.

    Returns:
        Columns `experiment`, `task`, `vector`, `coefficient`, `forget` and `control`, sorted by
        the first four.

    Raises:
        UserError: a file is no sweep, or there is none at all.
    """
    frames = [_percent(read_counts(path)) for path in paths]
    if not frames:
        raise UserError("no sweeps to draw a figure from")
    together = pd.concat(frames, ignore_index=True)
    return together.sort_values([*LABELS, "coefficient"], ignore_index=True)


def read_counts(path: str | Path) -> pd.DataFrame:
    """Read a sweep as it is: labels, coefficient, and right answers of images by role.

    Raises:
        UserError: the file is no sweep.
    """
    columns = (*LABELS, "coefficient", *COUNTS)
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(LABELS, str), keep_default_na=False)
        missing = [column for column in columns if column not in frame]
        if missing or frame.empty:
            raise ValueError(f"columns {missing} are missing" if missing else "no rows")
        numbers = frame[["coefficient", *COUNTS]].astype(float)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a sweep ({error}); delete it and run again") from error
    return frame[list(LABELS)].join(numbers)


def _percent(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[[*LABELS, "coefficient"]].assign(
        forget=100 * frame["forget_correct"] / frame["forget_n"],
        control=100 * frame["control_correct"] / frame["control_n"],
    )


def baseline(selected: Iterable[Mapping], experiment: str, task: str) -> tuple[float, float]:
    """Find the control accuracy of the base, in percent, and the share of it that must be kept.

    Args:
        selected: the choices of all methods that are drawn.
        experiment: the experiment.
        task: the task.

    Raises:
        UserError: none of the choices holds it.
    """
    for choice in selected:
        here = (choice["experiment"], choice["task"]) == (experiment, task)
        if here and choice["control_baseline"] is not None:
            return choice["control_baseline"], choice["keep"]
    raise UserError(
        f"{experiment}/{task}: no method of the figure has a chosen coefficient, so the control "
        "accuracy to keep is not known; add one to the figure's `methods`"
    )
