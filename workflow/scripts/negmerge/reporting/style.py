"""How figures look, and how their files come out the same in every byte.

As the kinds of figures, it imports matplotlib only where it is used; see `kinds`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from negmerge.files import replacing

if TYPE_CHECKING:
    from matplotlib import rc_context
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
    return {
        method: {
            "color": COLOURS[place % len(COLOURS)],
            "marker": MARKERS[place % len(MARKERS)],
        }
        for place, method in enumerate(methods)
    }


def canvas(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """Make an empty figure of that size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def blank(text: str) -> Figure:
    """Make a figure that has nothing to show, and says why."""
    figure = canvas(5.5, 1.0)
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


def handle(label: str, **look: object) -> Line2D:
    """Make an entry of a legend."""
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
        _settle(figure)
        figure.savefig(content, format=form, dpi=DOTS_PER_INCH, metadata=_METADATA[form])
    with replacing(path) as partial:
        partial.write_bytes(content.getvalue())


def _settle(figure: Figure) -> None:
    """Lay a figure out and keep its axes there, at nine decimals.

    What the layout's solver finds changes from process to process in the last bits, which can
    change the last digit that a PDF holds.
    """
    if figure.get_layout_engine() is None:
        return
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(place, 9) for place in axes.get_position(original=True).bounds])
