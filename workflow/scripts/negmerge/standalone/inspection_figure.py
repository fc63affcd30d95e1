"""An inspection of a pool as a figure: agreement layer by layer, and the cosines of the members."""

import math
from collections.abc import Mapping
from pathlib import Path

from negmerge.errors import UserError
from negmerge.reporting import style

ENDINGS = (".png", ".pdf")
# Above these numbers, labels of layers and cosines of pairs would lie over one another.
LAYERS, MEMBERS = 40, 10
OTHER = "other"


def require_plot(path: Path) -> None:
    """Check that a figure can be drawn, before anything is computed for it."""
    if path.suffix not in ENDINGS:
        raise UserError(f"{path}: a figure's name ends in {' or '.join(ENDINGS)}")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UserError(
            f"{path}: a figure needs matplotlib: pip install 'negmerge[plot]'"
        ) from None


def draw(report: Mapping, path: Path) -> None:
    """Draw a report of `inspect_files` into a file that ends in `.png` or `.pdf`."""
    with style.settings():
        figure = style.canvas(11, 4.6)
        left, right = figure.subplots(1, 2, width_ratios=(1.6, 1))
        _agreement(left, report)
        figure.colorbar(_cosines(right, report), ax=right, label="cosine", shrink=0.85)
        style.save(figure, path)


def _agreement(axes, report: Mapping) -> None:
    layers = {n: row for n, row in report["layers"].items() if row["agree"] is not None}
    kinds = [row["kind"] for row in layers.values()]
    # The most frequent kinds have colours of their own.
    named = sorted(set(kinds), key=lambda kind: (-kinds.count(kind), kind))
    looks = style.styles([*named[: len(style.COLOURS) - 1], OTHER])
    for kind, look in looks.items():
        chosen = [
            (place, 100 * row["agree"])
            for place, row in enumerate(layers.values())
            if (row["kind"] if row["kind"] in looks else OTHER) == kind
        ]
        if chosen:
            axes.plot(*zip(*chosen, strict=True), ls="", ms=4.5, label=kind, **look)
    chance = 100 * report["chance"]
    axes.axhline(chance, color=style.BLACK, ls="--", lw=1, label=f"chance: {chance:.3g} %")
    axes.set(
        xlabel="layer, in the order of the names",
        ylabel="agreement in sign (% of the numbers)",
        ylim=(0, None),
    )
    axes.set_title("Share on which all members agree")
    if len(layers) <= LAYERS:
        axes.set_xticks(range(len(layers)), [_short(name) for name in layers], rotation=90)
        axes.tick_params("x", labelsize=7)
    axes.legend(ncols=2, fontsize=8)


def _cosines(axes, report: Mapping):
    matrix = [[math.nan if c is None else c for c in row] for row in report["cosines"]]
    members = report["members"]
    pairs = [c for place, row in enumerate(matrix) for c in row[:place] if not math.isnan(c)]
    shown = axes.imshow(matrix, cmap="viridis", vmin=min([0, *pairs]), vmax=max(pairs, default=1))
    labels = [str(number) for number in range(1, len(members) + 1)]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(range(len(members)), labels)
        for label, member in zip(axis.get_ticklabels(), members, strict=True):
            if member["outlier"]:
                label.set(color=style.COLOURS[1], weight="bold")
    if len(members) <= MEMBERS:
        middle = sum(shown.get_clim()) / 2
        for y, row in enumerate(matrix):
            for x, cosine in enumerate(row):
                if x != y and not math.isnan(cosine):
                    colour = "white" if cosine < middle else style.BLACK
                    axes.text(x, y, f"{cosine:.2f}", color=colour, ha="center", va="center", size=7)
    axes.grid(False)
    apart = [label for label, one in zip(labels, members, strict=True) if one["outlier"]]
    note = f"; unlike the others: {', '.join(apart)}" if apart else ""
    axes.set(xlabel="member", ylabel="member")
    axes.set_title(f"Cosines of the members{note}")
    return shown


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"…{name[-27:]}"
