"""What a later request to forget brings back of earlier ones, and what it costs (zero-shot)."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from negmerge.reporting.kinds import TableKind
from negmerge.scenarios.base import Metric, accuracy, place_of, read
from negmerge.scenarios.zero_shot.scenario import EARLIER, SCENARIO


def rebound(before: float, after: float) -> float:
    """Return by how much the forget accuracy of earlier requests rises in a step, or 0."""
    return max(0.0, after - before)


def stability(history: Sequence[float]) -> float:
    """Return the mean change, up or down, of an accuracy over the steps between its values."""
    steps = [abs(after - before) for before, after in pairwise(history)]
    return sum(steps) / len(steps)


class History(TableKind):
    """Scores after a request that comes after others."""

    caption = (
        "Requests to forget come one after the other, each from the model that the one before has "
        "left. Earlier: accuracy on what earlier requests made it forget. Rebound: by how much "
        "this request raises it, or 0. Stability: the mean change of the control accuracy over all "
        "steps since the first base. Both are those of MCU (arXiv 2608.04548), in points."
    )
    scenarios = ("zero-shot",)
    needs = (SCENARIO.base,)
    is_scored = True
    shows_choice = True
    metrics = (
        *SCENARIO.metrics,
        Metric("earlier", "earlier", "%", "lower", accuracy("earlier")),
        Metric("rebound", "rebound", "points", "lower", read("rebound")),
        Metric("stability", "stability", "points", "lower", read("stability")),
    )

    def check(self, experiments, methods):
        for name, experiment in experiments.items():
            if experiment.after is None:
                raise ValueError(f"{name!r} has no key `after`, so it has no earlier requests")

    def records(self, experiment, folder, row):
        before = [f"{one}/{task}" for one, task in experiment.requests]
        return [
            f"{folder}/scores/{row}.json",
            *(f"{place}/scores/{SCENARIO.base}.json" for place in before),
        ]

    def read(self, paths):
        records = super().read(paths)
        bases = {place_of(one)[:2]: one for one in records if one["method"] == SCENARIO.base}
        return [with_history(one, bases) if "after" in one else one for one in records]


def with_history(record: Mapping, bases: Mapping[tuple[str, str], Mapping]) -> dict:
    """Add to a score what it makes of earlier requests; `bases` are scores before each request."""
    base = bases[place_of(record)[:2]]
    steps = [record, base][record is base :]
    while "after" in steps[-1]:
        steps.append(bases[tuple(steps[-1]["after"].split("/")[:2])])
    controls = [100 * one["control"]["correct"] / one["control"]["n"] for one in steps]
    earlier, before = _earlier(record), _earlier(base)
    shares = [100 * one["correct"] / one["n"] for one in (before, earlier)]
    numbers = {"rebound": rebound(*shares), "stability": stability(controls)}
    return {**record, "earlier": earlier, **numbers}


def _earlier(record: Mapping) -> dict[str, int]:
    """Count the right answers on what all earlier requests made the model forget."""
    counts = [own for role, own in record.items() if role.startswith(EARLIER)]
    return {key: sum(one[key] for one in counts) for key in ("correct", "n")}


KIND = History()
