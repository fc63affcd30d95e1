"""Forget accuracy against the number of merged models (zero-shot; the paper's ablation)."""

from negmerge.reporting import style
from negmerge.reporting.kinds import MERGES, FigureKind
from negmerge.reporting.records import read_main_records
from negmerge.scenarios.zero_shot.scenario import ACCURACIES
from negmerge.settings.methods import base_name

COLUMNS = (
    "experiment", "task", "series", "method", "label", "models", "coefficient", "forget", "control",
)  # fmt: skip
NUMBERS = ("coefficient", "forget", "control")


class Models(FigureKind):
    """A panel for each experiment and task, with a line for each merge method."""

    caption = (
        "Forget accuracy on test images against the number of models. Each line is a method, which "
        "takes a part of the pool, or all of it. Where several parts of a size were drawn, the "
        "marker is their mean, and the bar their standard deviation (divisor k - 1)."
    )
    scenarios = ("zero-shot",)
    shows = (*MERGES, "single")
    averages = True

    def data(self, figure, scores):
        import pandas as pd

        rows = [
            {
                **score,
                "series": base_name(score["method"]),
                "label": figure["methods"][score["method"]],
                **{metric.name: metric.measure(score).value for metric in ACCURACIES},
            }
            for score in read_main_records(scores)
        ]
        order = ["experiment", "task", "series", "models", "method"]
        frame = style.over_seeds(pd.DataFrame(rows, columns=list(COLUMNS)), NUMBERS)
        return frame.sort_values(order, ignore_index=True).round(6)

    def plot(self, figure, data):
        from matplotlib.ticker import MaxNLocator

        places = style.places(data)
        canvas = style.canvas(max(3.6 * len(places), 5.5), 3.6)
        grid = canvas.subplots(1, len(places), squeeze=False)[0]
        looks = style.styles(data["series"].drop_duplicates())
        for axes, ((experiment, task), panel) in zip(grid, places, strict=True):
            for series, line in panel.groupby("series", sort=False):
                look = looks[series] | {"markersize": 8, "markeredgecolor": "white"}
                sizes = line.groupby("models")["forget"].agg(["mean", "std"])
                axes.plot(sizes.index, sizes["mean"], label=series, **look)
                ends = sizes["mean"] - sizes["std"], sizes["mean"] + sizes["std"]
                axes.vlines(sizes.index, *ends, color=look["color"], linewidth=1)
            axes.set(title=f"{experiment}: {task}", xlabel="models")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        grid[0].set_ylabel("forget accuracy on test images (%)\nlower is better")
        canvas.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return canvas


KIND = Models()
