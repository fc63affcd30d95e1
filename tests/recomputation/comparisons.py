"""Tables: how much there is to forget, and which rows are told apart on the same images."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from recomputation.result import Result, same_values
from recomputation.study import Study, read_csv, read_header, read_tensors
from recomputation.tables import (
    MEAN,
    MISSING,
    ROUNDING,
    Cell,
    folder_of,
    number,
    record_number,
    singles_of,
)

AMOUNT, MCNEMAR = "amounts to forget", "McNemar's tests"
BOOTSTRAP = "tests and errors by bootstrap"
# Up to this p two rows are told apart; with fewer points to forget, or above it, no row ranks.
SIGNIFICANCE, FEW_POINTS = 0.05, 5


def check(study: Study) -> Iterator[Result]:
    """Compare all tables of scores."""
    for path in study.tables().values():
        cells, place = read_csv(path), study.place(path)
        for cell in cells:
            if cell["metric"] == "to_forget":
                yield _amount(study, place, cell, cells)
            elif cell["p_value"] != MISSING:
                yield _told_apart(study, place, cell, cells)


def right(study: Study, cell: Cell, name: str, role: str) -> np.ndarray:
    """Read which images of a role a model gets right, 0 and 1."""
    path = folder_of(study, cell) / "outcomes" / f"{name}.safetensors"
    return read_tensors(path)[f"{record_number(study, cell, name)}/{role}_right"].astype(int)


def mcnemar(one: np.ndarray, other: np.ndarray) -> float:
    """Test exactly whether each of two models is as likely to be the one that is right.

    Of n images on which they differ, k are right by the one: twice the share of the smaller tail of
    the binomial distribution with probability 1/2.
    """
    only_one, only_other = (int((pair > 0).sum()) for pair in (one - other, other - one))
    n = only_one + only_other
    tail = sum(math.comb(n, k) for k in range(min(only_one, only_other) + 1))
    return min(1.0, 2 * tail / 2**n)


def _amount(study: Study, table: str, cell: Cell, cells: Sequence[Cell]) -> Result:
    """Compare Original with Retrain, or CLIP with guessing, on the forget images."""
    singles = [cell] if cell["experiment"] != MEAN else singles_of(cell, cells)
    known = [right(study, one, cell["method"], "forget") for one in singles]
    if cell["method"] == "original":
        unseen = [right(study, one, "retrain", "forget") for one in singles]
        expected = [one.mean() for one in unseen]
        pairs = [a - b for a, b in zip(known, unseen, strict=True)]
        variances = [np.mean((pair - pair.mean()) ** 2) / len(pair) for pair in pairs]
        p = mcnemar(np.concatenate(known), np.concatenate(unseen))
    else:
        expected = [1 / _classes(study, one) for one in singles]
        variances = [one.mean() * (1 - one.mean()) / len(one) for one in known]
        chance = sum(q * (1 - q) / len(one) for q, one in zip(expected, known, strict=True))
        distance = abs(sum(one.mean() for one in known) - sum(expected))
        p = math.erfc(distance / math.sqrt(2 * chance))
    found = {
        "value": 100 * float(np.mean([one.mean() for one in known]) - np.mean(expected)),
        "reference": 100 * float(np.mean(expected)),
        "standard_error": 100 * math.sqrt(sum(variances)) / len(singles),
        "p_value": p,
        "images": sum(map(len, known)),
    }
    place = f"{table}: {cell['column']}, {cell['experiment']}, {cell['task']}"
    return same_values(AMOUNT, place, {key: number(cell[key]) for key in found}, found, ROUNDING)


def _classes(study: Study, cell: Cell) -> int:
    path = folder_of(study, cell) / "outcomes" / f"{cell['method']}.safetensors"
    return read_header(path)[0]["classes"]["forget"]


def _told_apart(study: Study, table: str, cell: Cell, cells: Sequence[Cell]) -> Result:
    """Compare a row with the best of its column, where a test of single images decides."""
    place = f"{table}: {cell['column']}, {cell['row']}, {cell['metric']}"
    column = [one for one in cells if one["column"] == cell["column"]]
    of_one_accuracy = cell["metric"] in ("forget", "control") and cell["better"] != "reference"
    if not of_one_accuracy or int(cell["averaged"]) > 1:
        return Result(BOOTSTRAP, place, left_out="images are drawn anew, by lot")
    rows = [c for c in column if c["metric"] == cell["metric"] and c["experiment"] != MEAN]
    images = {one["row"]: right(study, one, one["method"], cell["metric"]) for one in rows}
    best = (min if cell["better"] == "lower" else max)(images, key=lambda row: images[row].mean())
    p = mcnemar(images[cell["row"]], images[best])
    expected = {"p_value": p, "with_best": _with_best(p, column)}
    stored = {"p_value": float(cell["p_value"]), "with_best": cell["with_best"]}
    return same_values(MCNEMAR, place, stored, expected, ROUNDING)


def _with_best(p: float, column: Sequence[Cell]) -> str:
    """Whether a row is the best or not told apart from it, as it stands in the file."""
    amounts = [c for c in column if c["metric"] == "to_forget" and c["experiment"] == MEAN]
    for amount in amounts:
        if float(amount["value"]) < FEW_POINTS or float(amount["p_value"]) > SIGNIFICANCE:
            return MISSING
    return str(p > SIGNIFICANCE)
