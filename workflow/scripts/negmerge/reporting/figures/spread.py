"""Single models over the pool beside merges: forget accuracy, or gap to Retrain (Figure 1b)."""

import math
from collections.abc import Mapping, Sequence

from negmerge.reporting import style
from negmerge.reporting.sweeps import (
    GAP,
    SINGLE,
    SINGLES,
    OfSweeps,
    merge_of,
    read_gaps,
    read_sweeps,
    threshold,
)
from negmerge.settings.methods import RETRAIN

DOTS = "#5F5F5F"
DIAMOND = {"marker": "D", "markersize": 5, "color": "white", "markeredgecolor": "black"}
COLUMNS = (
    "experiment", "task", "series", "label", "vector", "coefficient", "control", "forget", "gap",
    "deviation",
)  # fmt: skip
MEASURES = {
    "forget": "forget accuracy on validation images (%)",
    GAP: "average gap to Retrain on the images that choose (points)",
}
# The series of the best of a random half of the pool, and its label.
HALF, HALVES = "half", "best of a random half"


class Spread(OfSweeps):
    """A column of dots for each experiment and task, with the methods' marks beside it."""

    caption = (
        "Each dot is a single model of the pool at its best coefficient: the lowest forget "
        "accuracy on validation images among those that keep the control accuracy. The number is "
        "the distance between the best and the worst, in points: what the choice of "
        "hyper-parameters alone decides. The coloured marks are merges, chosen by the same "
        "criterion; lower is better. The white diamond is the best of a random half of the "
        "pool: mean and standard deviation over all halves. Of classifiers it is the average gap "
        "to Retrain in place of the forget accuracy, the smallest of all coefficients."
    )
    scenarios = ("zero-shot", "classifier")

    def check(self, experiments, methods):
        """Check that all experiments have one measure, and that it is what chooses."""
        gaps = {name: one.SCENARIO.aims_at_retrain for name, one in experiments.items()}
        if len(set(gaps.values())) > 1:
            raise ValueError("classifiers show gaps, others forget accuracies; draw two figures")
        for name, experiment in experiments.items():
            if gaps[name] and experiment.selection.criterion != "gap":
                raise ValueError(
                    f"{name!r} chooses by {experiment.selection.criterion!r}, expected `gap`, "
                    "which classifiers show here"
                )

    def records(self, experiment, folder, shown):
        retrain = [f"{folder}/sweeps/{RETRAIN}.csv"] if experiment.SCENARIO.aims_at_retrain else []
        return super().records(experiment, folder, shown) | {"retrain": retrain}

    def read(self, sweeps, retrain=()):
        return read_gaps(sweeps, retrain) if retrain else read_sweeps(sweeps)

    def data(self, figure, sweeps, selected):
        """List the dots and marks; of equal measures that of the smaller coefficient."""
        import pandas as pd

        labels, measure = figure["methods"], GAP if GAP in sweeps else "forget"
        names = {choice["method"] for choice in selected} | set(labels)
        rows = []
        for place, here in style.places(sweeps):
            moved = here.loc[here["coefficient"] > 0, "vector"]
            is_single = here["vector"].isin(moved) & ~merge_of(here["vector"]).isin(names)
            kept = here[is_single]
            if measure != GAP:
                kept = kept[kept["control"] >= threshold(selected, *place)]
            best = kept.sort_values([measure, "coefficient"]).drop_duplicates("vector")
            best = best.sort_values("vector").assign(series=SINGLE, label=SINGLES)
            rows += best.to_dict("records")
            if len(best):
                mean, deviation = best_of_half(best[measure])
                half = {"series": HALF, "label": HALVES, measure: mean, "deviation": deviation}
                rows.append(dict(zip(("experiment", "task"), place, strict=True)) | half)
            rows += [
                choice
                | {"series": choice["method"], "label": labels[choice["method"]]}
                | {"control": choice["control_accuracy"], "forget": choice["forget_accuracy"]}
                | {GAP: choice.get("gap") if measure == GAP else None}
                for choice in selected
                if (choice["experiment"], choice["task"]) == place
                and choice["method"] in labels
                and choice["forget_accuracy"] is not None
            ]
        return pd.DataFrame(rows, columns=list(COLUMNS)).round(6)

    def plot(self, figure, data):
        places, labels = style.places(data), figure["methods"]
        measure = GAP if data[GAP].notna().any() else "forget"
        canvas = style.canvas(max(5.5, 1.5 + 1.3 * len(places)), 3.8)
        axes = canvas.subplots()
        for centre, (_, panel) in enumerate(places):
            _draw_place(axes, centre, panel.assign(shown=panel[measure]), style.styles(labels))
        several = data["experiment"].nunique() > 1
        ticks = [f"{task}\n{experiment}" if several else task for (experiment, task), _ in places]
        axes.set_xticks(range(len(places)), ticks)
        axes.set_xlim(-0.6, len(places) - 0.4)
        axes.grid(visible=False, axis="x")
        axes.set_ylabel(f"{MEASURES[measure]}\nlower is better")
        dot = style.handle(SINGLES, linestyle="none", marker="o", markersize=4, color=DOTS)
        half = style.handle(HALVES, linestyle="none", **DIAMOND)
        handles = [dot, half, *style.handles(labels, linestyle="none")]
        canvas.legend(handles=handles, loc="outside lower center", ncols=4)
        return canvas


def _draw_place(axes, centre: int, panel, methods: Mapping[str, Mapping]) -> None:
    """Draw the dots, their range in points, and the marks of one experiment and task."""
    singles = panel.loc[panel["series"] == SINGLE, "shown"].to_list()
    left = centre - 0.2
    if singles:
        low, high = min(singles), max(singles)
        axes.plot([left, left], [low, high], color=style.GREY, linewidth=6, alpha=0.35)
        # Dots at one height would hide each other: neighbours are moved apart.
        across = [left + ((place * 3) % 5 - 2) * 0.025 for place in range(len(singles))]
        axes.plot(across, singles, "o", color=DOTS, markersize=4, alpha=0.8)
        axes.annotate(
            f"{high - low:.1f} points", (left, high), (0, 6), textcoords="offset points",
            ha="center", fontsize=8,
        )  # fmt: skip
    half = panel[panel["series"] == HALF]
    axes.errorbar(
        [left] * len(half), half["shown"], yerr=half["deviation"], fmt="none", ecolor="black"
    )
    axes.plot([left] * len(half), half["shown"], linestyle="none", **DIAMOND)
    width = 0.4 / max(len(methods), 1)
    for place, (method, look) in enumerate(methods.items()):
        marks = panel.loc[panel["series"] == method, "shown"]
        across = [centre + (place + 0.5) * width] * len(marks)
        axes.plot(across, marks, linestyle="none", markersize=8, markeredgecolor="white", **look)


def best_of_half(numbers: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard deviation of the least of a random half of some numbers.

    Of K numbers m = ceil(K / 2) are drawn without replacement, each set of them alike; so the one
    of rank r is the least with probability C(K - r, m - 1) / C(K, m).
    """
    ascending = sorted(numbers)
    half = math.ceil(len(ascending) / 2)
    sets = math.comb(len(ascending), half)
    shares = [
        math.comb(len(ascending) - rank, half - 1) / sets for rank in range(1, len(ascending) + 1)
    ]
    weighed = list(zip(shares, ascending, strict=True))
    mean = sum(share * number for share, number in weighed)
    return mean, math.sqrt(sum(share * (number - mean) ** 2 for share, number in weighed))


KIND = Spread()
