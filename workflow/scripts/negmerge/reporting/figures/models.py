"""Forget accuracy against the number of merged models (zero-shot; the paper's ablation)."""

from negmerge.reporting import style
from negmerge.reporting.kinds import MERGES, FigureKind
from negmerge.reporting.records import read_main_records
from negmerge.scenarios.zero_shot.scenario import ACCURACIES

COLUMNS = (
    "experiment", "task", "series", "method", "label", "models", "coefficient", "forget", "control",
)  # fmt: skip
NUMBERS = ("coefficient", "forget", "control")


class Models(FigureKind):
    """A panel for each experiment and task, with a line for each merge method."""

    caption = (
        "Forget accuracy on test images against the number of merged models. Each line is a merge "
        "method; what is merged is a part of the pool, or all of it."
    )
    scenarios = ("zero-shot",)
    shows = MERGES
    averages = True

    def data(self, figure, scores):
        import pandas as pd

        rows = [
            {
                **score,
                "series": score["method"].partition("-")[0],
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
                axes.plot(line["models"], line["forget"], label=series, **look)
            axes.set(title=f"{experiment}: {task}", xlabel="merged models")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        grid[0].set_ylabel("forget accuracy on test images (%)\nlower is better")
        canvas.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return canvas


KIND = Models()
