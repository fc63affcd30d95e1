"""Draw the figures of the pages anew from the numbers beside them, in docs/figures.

    python benchmarks/pictures.py

A figure of the demo is kept as its CSV file and drawn by the code that draws it in a study.
`benchmarks/demo.py` takes the numbers from the demo that it measures.
"""

from pathlib import Path

import pandas as pd
from marks import FIGURES, ROOT
from matplotlib.figure import Figure

from negmerge.reporting.figures import gap, tradeoff
from negmerge.reporting.style import save, settings
from negmerge.settings.study import load_study

# The bars that docs/tutorial.md shows: the others of the demo's figure stay as they are.
BARS = ("retrain", "original", "l1-sparse", "salun", "task-arithmetic", "uniform", "negmerge")
# Name of the picture: the figure of the demo, what draws it, and which methods of it.
PICTURES = {
    "tradeoff": ("figure1a", tradeoff.KIND.plot, None),
    "gap-before": ("gap", gap.KIND.plot, BARS),
    "gap-after": ("gap", gap.KIND.plot, BARS),
}
BEFORE, AFTER = ("tradeoff", "gap-before"), ("gap-after",)


def take(figures: Path, names: tuple[str, ...]) -> None:
    """Keep the numbers of some figures of a finished demo, from `results/demo/figures`."""
    for name in names:
        figure, _, methods = PICTURES[name]
        lines = (figures / f"{figure}.csv").read_text().splitlines(keepends=True)
        place = lines[0].split(",").index("method") if methods else None
        kept = [line for line in lines[1:] if not methods or line.split(",")[place] in methods]
        (FIGURES / f"{name}.csv").write_text("".join([lines[0], *kept]))


def draw(name: str) -> Figure:
    """Draw a picture from its numbers, as the study `demo` asks for it."""
    figure, plot, methods = PICTURES[name]
    asked = load_study(ROOT / "config", "demo", options=False).figures[figure].model_dump()
    if methods:
        asked["methods"] = {method: asked["methods"][method] for method in methods}
    with settings():
        return plot(asked, pd.read_csv(FIGURES / f"{name}.csv"))


def draw_all() -> None:
    """Draw all pictures into the folder."""
    for name in PICTURES:
        save(draw(name), FIGURES / f"{name}.png")


if __name__ == "__main__":
    draw_all()
