"""The coefficient of a vector, chosen by measurements at all of a grid, or at a few of its places.

`search` measures a model in memory, whose weights are moved in place and put back. Scores are any
numbers that are larger where more is remembered: accuracies, ROUGE, log-likelihoods.
"""

import itertools
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from negmerge.checkpoints.states import require_finite
from negmerge.errors import UserError, find
from negmerge.settings.selection import Coefficients
from negmerge.vectors import in_vector, widen

EXAMPLE = '{"forget": 0.41, "control": 0.63}'
SCORES = ("forget", "control")
SEARCHES = ("full", "fewer")


@dataclass(frozen=True)
class Measurement:
    """What was measured at one coefficient."""

    coefficient: float
    forget: float
    control: float
    others: Mapping[str, object] = field(default_factory=dict)


def measurement(coefficient: float, returned: object, where: str) -> Measurement:
    """Check what a user's evaluation returned."""
    if not isinstance(returned, Mapping) or set(SCORES) - set(returned):
        raise UserError(
            f"{where}: found {reprlib.repr(returned)}, expected an object like {EXAMPLE}"
        )
    scores = {}
    for score in SCORES:
        value = returned[score]
        try:
            # A tensor or an array without axes is a number, too.
            scores[score] = math.nan if isinstance(value, str | bytes | bool) else float(value)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            scores[score] = math.nan
        if not math.isfinite(scores[score]):
            raise UserError(
                f"{where}: {score!r} is {reprlib.repr(value)}, expected a finite number"
            )
    others = {key: value for key, value in returned.items() if key not in SCORES}
    return Measurement(coefficient, others=others, **scores)


@dataclass(frozen=True)
class Choice:
    """A coefficient, and what it was chosen among.

    Attributes:
        chosen: the measurement at the chosen coefficient.
        measurements: all of them, by ascending coefficient; the base is the first.
        grid: the coefficients that could be measured.
        keep: the share of the base's control score that had to be kept.
    """

    chosen: Measurement
    measurements: tuple[Measurement, ...]
    grid: tuple[float, ...]
    keep: float

    @property
    def coefficient(self) -> float:
        """The chosen coefficient; 0 where nothing can be forgotten under the criterion."""
        return self.chosen.coefficient

    @property
    def upper_end(self) -> bool:
        """Whether the choice is the largest of the grid, so that a larger one may do better."""
        return self.coefficient == self.grid[-1]

    @property
    def forget_falls(self) -> bool:
        """Whether the forget score never rises with the coefficient, where it was measured."""
        return rise(self.measurements, "forget") is None

    @property
    def control_falls(self) -> bool:
        """Whether the control score never rises with the coefficient, where it was measured."""
        return rise(self.measurements, "control") is None

    def notes(self) -> list[str]:
        """Return what a user should know of the choice, a line each."""
        notes = []
        if self.upper_end:
            notes.append(
                f"{self.coefficient:g} is the largest coefficient of the grid; a larger one may "
                "forget more"
            )
        for score in SCORES if len(self.measurements) < len(self.grid) else ():
            if pair := rise(self.measurements, score):
                places = (f"{getattr(m, score):.4g} at {m.coefficient:g}" for m in pair)
                rises = f"{score} rises from {' to '.join(places)}"
                notes.append(f"{rises}, so a full search may choose otherwise")
        return notes


def checked_grid(coefficients: Iterable[float], keep: float, search: str) -> tuple[float, ...]:
    """Return the coefficients in ascending order from 0, and check all arguments of `choose`."""
    if not 0 <= keep <= 1:
        raise UserError(f"keep is {keep:g}, expected a share of the control score from 0 to 1")
    find("search", search, dict.fromkeys(SEARCHES))
    grid = sorted({0.0, *map(float, coefficients)})
    for coefficient in grid:
        if not 0 <= coefficient < math.inf:
            raise UserError(f"coefficient {coefficient:g}, expected finite numbers from 0 on")
    if len(grid) < 2:
        raise UserError("no coefficient above 0, expected at least 1 to choose from")
    return tuple(grid)


def rise(measurements: Sequence[Measurement], score: str) -> tuple[Measurement, Measurement] | None:
    """Find two neighbours between which a score rises with the coefficient."""
    pairs = itertools.pairwise(measurements)
    return next(((a, b) for a, b in pairs if getattr(b, score) > getattr(a, score)), None)


def keeps(measured: Measurement, base: Measurement, keep: float) -> bool:
    """Whether a measurement keeps a share of the base's control score; equality passes."""
    return measured.control >= keep * base.control


def best(measurements: Sequence[Measurement], keep: float) -> Measurement:
    """Choose by the paper's criterion among measurements of which the base is the first.

    For fractions the choice is that of `selection.select_coefficient`, where a forget score of
    exactly 1 never qualifies; here it is a number like any other, as units may differ.
    """
    kept = [measured for measured in measurements if keeps(measured, measurements[0], keep)]
    return min(kept, key=lambda measured: (measured.forget, measured.coefficient))


def choose(
    coefficients: Iterable[float],
    measure: Callable[[float], Measurement],
    keep: float = 0.95,
    search: str = "full",
) -> Choice:
    """Choose a coefficient by measuring some of a grid, each once and 0 first.

    `search`: `full` measures all; `fewer` looks by bisection for the largest coefficient that keeps
    control, which is the choice of `full` where both scores never rise with the coefficient: at
    most 2 log2(n) + 3 measurements of n, without ties log2(n) + 3.
    """
    grid = checked_grid(coefficients, keep, search)
    measured: dict[float, Measurement] = {}

    def at(place: int) -> Measurement:
        if grid[place] not in measured:
            measured[grid[place]] = measure(grid[place])
        return measured[grid[place]]

    if at(0).control <= 0:
        raise UserError(
            f"the base's control score is {at(0).control:g}, expected more than 0, of which a "
            "share can be kept"
        )
    if search == "full":
        for place in range(len(grid)):
            at(place)
    else:
        _search_fewer(len(grid), at, keep)
    measurements = tuple(measured[coefficient] for coefficient in sorted(measured))
    return Choice(best(measurements, keep), measurements, grid, keep)


def _search_fewer(count: int, at: Callable[[int], Measurement], keep: float) -> None:
    """Measure around the last place that keeps control, and around the first as low."""
    last = _last(0, count, lambda place: keeps(at(place), at(0), keep))
    lowest = at(last).forget

    def higher(place: int) -> bool:
        return at(place).forget > lowest

    # Mostly the neighbour shows that there is no tie.
    if last and not higher(last - 1):
        _last(-1, last - 1, higher)


def _last(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """Return the last place below `high` up to which something holds; at `low` it does."""
    while high - low > 1:
        middle = (low + high) // 2
        if holds(middle):
            low = middle
        else:
            high = middle
    return low


def search(
    model: nn.Module,
    vector: Mapping[str, Tensor],
    evaluate: Callable[[nn.Module], Mapping[str, float]],
    *,
    keep: float = 0.95,
    coefficients: Iterable[float] | None = None,
    search: str = "full",
    apply: bool = False,
) -> Choice:
    """Choose by the paper's rule how much of a vector to subtract from a live model.

    The weights are base - coefficient * vector, computed and rounded as by `negmerge unlearn`. They
    are put back from a copy of the tensors that the vector changes, on the model's own devices.
    Afterwards they are the base's in every bit, also where `evaluate` raises or is interrupted.

    Args:
        model: the base, of any dtypes and on any devices. Its mode (`eval`, `train`) is left alone.
        vector: a task or merged vector by the names of the model's parameters and buffers. Names of
            the model that it leaves out stay as they are; tied parameters are moved once.
        evaluate: measures the model: `{"forget": ..., "control": ...}`, finite numbers, larger
            where more is remembered; other keys are kept in the choice.
        keep: share of the base's control score to keep, 0..1.
        coefficients: the grid; from 0 to 1 by 0.05 if none is given. 0 is always in it.
        search: `full` measures all of the grid; `fewer` looks by bisection for the largest
            coefficient that keeps control, which is the same choice where neither score ever rises
            with the coefficient.
        apply: leave the model at the chosen coefficient, not at the base.

    Returns:
        The choice: `coefficient`, the `measurements`, and whether it is at the `upper_end` and
        whether `forget_falls` and `control_falls` with the coefficient.

    Raises:
        UserError: the vector does not fit the model, or an argument or a measurement is wrong.
    """
    grid = Coefficients().values if coefficients is None else coefficients
    parts = _parts(model, vector)

    def move(coefficient: float) -> None:
        for tensor, base, change in parts:
            if coefficient == 0:
                tensor.copy_(base)
            else:
                tensor.copy_(widen(base) - coefficient * widen(change.to(tensor.device)))

    def measure(coefficient: float) -> Measurement:
        move(coefficient)
        return measurement(coefficient, evaluate(model), f"evaluate at coefficient {coefficient:g}")

    try:
        choice = choose(grid, measure, keep, search)
    finally:
        move(0)
    if apply:
        move(choice.coefficient)
    return choice


def _parts(model: nn.Module, vector: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return each tensor that a vector changes, a copy of it as it was, and the change."""
    own = dict(model.named_buffers(remove_duplicate=False))
    own |= dict(model.named_parameters(remove_duplicate=False))
    lacking = [name for name in vector if name not in own]
    if lacking:
        raise UserError(
            f"vector: tensor {lacking[0]!r} is not in the model ({len(lacking)} of {len(vector)} "
            f"are not); its names are like {next(iter(own), 'none')!r}"
        )
    moves: dict[tuple, tuple[str, Tensor]] = {}
    for name, change in vector.items():
        tensor = own[name].detach()
        _require_fitting(name, tensor, change)
        # Tied parameters are one tensor under several names.
        place = (tensor.device, tensor.data_ptr(), tensor.stride(), tensor.shape)
        other, moved = moves.setdefault(place, (name, change))
        if moved is not change and not torch.equal(moved, change.to(moved)):
            raise UserError(
                f"vector: tensor {name!r} differs from {other!r}, expected the same, since the "
                "model ties them"
            )
    return [
        (own[name].detach(), own[name].detach().clone(), change.detach())
        for name, change in moves.values()
        if change.any()
    ]


def _require_fitting(name: str, tensor: Tensor, change: Tensor) -> None:
    """Check a tensor of a vector against the model's."""
    if change.shape != tensor.shape:
        raise UserError(
            f"vector: tensor {name!r} has shape {list(change.shape)}, expected {list(tensor.shape)}"
        )
    if not in_vector(name, tensor):
        raise UserError(
            f"vector: tensor {name!r} takes no part in vectors: in the model it is a statistic "
            f"or holds {tensor.dtype}"
        )
    if tensor.is_meta:
        raise UserError(f"model: tensor {name!r} is not in memory, but on the device 'meta'")
    require_finite(change, name, "vector")
    require_finite(tensor, name, "model")
