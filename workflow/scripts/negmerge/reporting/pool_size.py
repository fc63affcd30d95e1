"""Forget accuracy against the number of merged models (the paper's ablation)."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from negmerge.reporting import style

COLUMNS = (
    "experiment", "task", "series", "method", "label", "models", "coefficient", "forget", "control",
)  # fmt: skip


def pool_size_data(figure: Mapping, scores: Sequence[Mapping]) -> pd.DataFrame:
    """List what the figure shows, a row per method, on test images in percent.

    `series` is the merge method, whatever points it merges: the methods of a figure whose names
    begin alike, up to a `-`, make one line.
    """
    rows = [
        {key: score[key] for key in ("experiment", "task", "method", "models", "coefficient")}
        | {
            "series": score["method"].partition("-")[0],
            "label": figure["methods"][score["method"]],
            **{
                role: 100 * score[role]["correct"] / score[role]["n"]
                for role in ("forget", "control")
            },
        }
        for score in scores
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    order = ["experiment", "task", "series", "models", "method"]
    return frame.sort_values(order, ignore_index=True).round(6)


def draw_pool_size(figure: Mapping, data: pd.DataFrame) -> Figure:
    """Draw a panel for each experiment and task, with a line for each merge method.

    Args:
        figure: the definition of the figure, as in a study.
        data: from `pool_size_data`.
    """
    places = list(data.groupby(["experiment", "task"], sort=False))
    canvas = Figure(figsize=(max(3.6 * len(places), 5.5), 3.6), layout="constrained")
    grid = canvas.subplots(1, len(places), squeeze=False)[0]
    looks = style.styles(data["series"].drop_duplicates())
    for axes, ((experiment, task), panel) in zip(grid, places, strict=True):
        for series, line in panel.groupby("series", sort=False):
            axes.plot(
                line["models"], line["forget"], label=series, markeredgecolor="white",
                markersize=8, **looks[series],
            )  # fmt: skip
        axes.set_title(f"{experiment}: {task}")
        axes.set_xlabel("merged models")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    grid[0].set_ylabel("forget accuracy on test images (%)\nlower is better")
    handles, labels = grid[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=4)
    return canvas
