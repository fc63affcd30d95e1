"""Forget against control accuracy of vectors, and what was chosen (zero-shot; Figure 1a)."""

import math
from collections.abc import Mapping

from negmerge.reporting import style
from negmerge.reporting.sweeps import SINGLE, SINGLES, OfSweeps, merge_of, threshold
from negmerge.scenarios.base import place_of

PANELS_PER_ROW = 3
COLUMNS = (
    "experiment", "task", "series", "label", "vector", "coefficient", "control", "forget",
    "chosen", "threshold",
)  # fmt: skip


class Tradeoff(OfSweeps):
    """A panel for each experiment and task, with a line for each vector."""

    caption = (
        "Each line follows one vector from the base (star) to larger coefficients, on validation "
        "images: grey for single models of the pool, coloured for methods. The lower right corner "
        "is best: little left of what was to be forgotten, everything kept of the control data. "
        "Left of the dashed line the control accuracy is lower than asked for; a marker shows the "
        "coefficient that was chosen. Lines that continue far to the left are cut off."
    )

    def data(self, figure, sweeps, selected):
        """List the points of the lines; `threshold` is the control accuracy that had to be kept."""
        import pandas as pd

        names = {choice["method"] for choice in selected} | set(figure["methods"])
        choices = {place_of(choice): choice for choice in reversed(selected)}
        frames = []
        for place, here in style.places(sweeps):
            here = here.assign(threshold=threshold(selected, *place))
            singles = here[~merge_of(here["vector"]).isin(names)]
            frames.append(singles.assign(series=SINGLE, label=SINGLES, chosen=False))
            for method, label in figure["methods"].items():
                choice = choices.get((*place, method), {"vector": None})
                if choice["vector"] is not None:
                    line = here[here["vector"] == choice["vector"]]
                    chosen = line["coefficient"] == choice["coefficient"]
                    frames.append(line.assign(series=method, label=label, chosen=chosen))
        return pd.concat(frames, ignore_index=True)[list(COLUMNS)].round(6)

    def plot(self, figure, data):
        places, labels = style.places(data), figure["methods"]
        columns = min(len(places), PANELS_PER_ROW)
        rows, legend_rows = math.ceil(len(places) / columns), math.ceil((len(labels) + 3) / 4)
        canvas = style.canvas(max(3.6 * columns, 6.5), 3.2 * rows + 0.25 * legend_rows + 0.2)
        grid = list(canvas.subplots(rows, columns, squeeze=False).flat)
        several = data["experiment"].nunique() > 1
        panels = zip(grid, places, strict=False)
        for place, (axes, ((experiment, task), panel)) in enumerate(panels):
            _draw_panel(axes, panel, style.styles(labels))
            axes.set_xlabel("control accuracy (%), higher is better")
            if place % columns == 0:
                axes.set_ylabel("forget accuracy (%), lower is better")
            axes.set_title(f"{experiment}: {task}" if several else task)
        for axes in grid[len(places) :]:
            axes.remove()
        black = {"color": style.BLACK}
        handles = [
            *style.handles(labels, markeredgecolor="white"),
            style.handle(SINGLES, color=style.GREY, linewidth=0.9),
            style.handle("base", marker="*", markersize=9, linestyle="none", **black),
            style.handle("accuracy to keep", linestyle="--", linewidth=0.9, **black),
        ]
        canvas.legend(handles=handles, loc="outside lower center", ncols=4)
        return canvas


def _draw_panel(axes, panel, methods: Mapping[str, Mapping]) -> None:
    for _, line in panel[panel["series"] == SINGLE].groupby("vector", sort=False):
        axes.plot(line["control"], line["forget"], color=style.GREY, linewidth=0.7, alpha=0.8)
    for place, (method, look) in enumerate(methods.items()):
        line = panel[panel["series"] == method]
        axes.plot(line["control"], line["forget"], color=look["color"], linewidth=1.6)
        chosen = line[line["chosen"]]
        axes.plot(
            chosen["control"], chosen["forget"], linestyle="none", markersize=8,
            markeredgecolor="white", zorder=5 + place, **look,
        )  # fmt: skip
    base = panel[panel["coefficient"] == 0].head(1)
    axes.plot(base["control"], base["forget"], "*", color=style.BLACK, markersize=11, zorder=4)
    least = panel["threshold"].iloc[0]
    axes.axvline(least, color=style.BLACK, linestyle="--", linewidth=0.9)
    across, up = limits(panel)
    axes.set_xlim(*across)
    axes.set_ylim(*up)


def limits(panel) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where the axes begin and end: a model that lost all is of no interest."""
    least, base = panel["threshold"].iloc[0], panel[panel["coefficient"] == 0].head(1)
    lost = max(base["control"].iloc[0] - least, 1)
    left = max(panel["control"].min(), least - 2 * lost)
    seen = panel[panel["control"] >= left]
    across, up = seen["control"].max() - left, seen["forget"].max() - seen["forget"].min()
    across = across or 1.0  # where no vector changes the control accuracy
    return (
        (left - 0.03 * across, seen["control"].max() + 0.06 * across),
        (seen["forget"].min() - 0.05 * up - 0.5, seen["forget"].max() + 0.05 * up + 0.5),
    )


KIND = Tradeoff()
