"""How figures look, and how their files come out the same in every byte."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from negmerge.files import replacing
from negmerge.seeds import first_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib import rc_context
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Okabe and Ito's palette, which people with colour blindness can tell apart; yellow is left out
# because it is too pale on white. One marker more than colours: no pair comes twice in 56 methods.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
GREY = "#9A9A9A"
BLACK = "#000000"
SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "svg.hashsalt": "negmerge",
}
DOTS_PER_INCH = 150
# Dates and versions of software in a file would change it from run to run.
_METADATA = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def styles(methods: Iterable[str]) -> dict[str, dict[str, str]]:
    """Assign each method a colour and a marker; both change, so neither has to be seen alone."""
    looks = zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS), strict=False)
    return {
        method: {"color": colour, "marker": marker}
        for method, (colour, marker) in zip(methods, looks, strict=False)
    }


def canvas(width: float, height: float, layout: str | None = "constrained") -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def places(data: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    return list(data.groupby(["experiment", "task"], sort=False))


def over_seeds(data: pd.DataFrame, numbers: Sequence[str]) -> pd.DataFrame:
    """Put the mean of some numbers over its seeds in the place of an experiment's repetitions."""
    firsts = data["experiment"].map(first_of)
    if firsts.equals(data["experiment"]):
        return data
    others = [column for column in data if column not in numbers]
    groups = data.assign(experiment=firsts).groupby(others, sort=False, dropna=False)
    return groups[list(numbers)].mean().reset_index()[list(data)]


def list_methods(axes: Axes, labels: Mapping[str, str]) -> None:
    """Name the methods beside bars, the first on top."""
    axes.set_yticks(range(len(labels)), list(labels.values()))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def handles(labels: Mapping[str, str], **look: object) -> list[Line2D]:
    looks = styles(labels)
    return [handle(label, markersize=7, **looks[name], **look) for name, label in labels.items()]


def handle(label: str, **look: object) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **look)


def settings() -> rc_context:
    """Return a context in which figures look alike, whatever the user's own settings are."""
    from matplotlib import rc_context

    return rc_context(SETTINGS)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure in the form that the path's ending names, `.png` or `.pdf`."""
    form = Path(path).suffix.removeprefix(".")
    content = io.BytesIO()
    with settings():
        if figure.get_layout_engine() is not None:
            # What the layout's solver finds changes from process to process in the last bits, which
            # can change the last digit that a PDF holds: the axes stay where they are, at nine.
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
            for axes in figure.axes:
                bounds = axes.get_position(original=True).bounds
                axes.set_position([round(place, 9) for place in bounds])
        figure.savefig(content, format=form, dpi=DOTS_PER_INCH, metadata=_METADATA[form])
    with replacing(path) as partial:
        partial.write_bytes(content.getvalue())
