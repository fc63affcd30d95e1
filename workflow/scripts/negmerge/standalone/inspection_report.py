"""An inspection of a pool as tables for people, and as a figure."""

import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from negmerge.errors import UserError
from negmerge.reporting import style
from negmerge.standalone.text_table import aligned

ENDINGS = (".png", ".pdf")
OTHER = "other"


def describe(report: Mapping) -> Iterator[str]:
    """Yield a report of `inspect_files` as tables that fit the terminal, at 80 columns or more."""
    for title in ("layer", "kind"):
        yield from _parts(title, report[f"{title}s"], report["chance"])
        yield ""
    yield from _members(report["members"])
    yield ""
    yield from _summary(report)


def _parts(title: str, rows: Mapping[str, Mapping], chance: float) -> Iterator[str]:
    lines = [
        [
            name,
            f"{row['numbers']:,}",
            _show(row["agree"], ".2%"),
            _show(row["agree"] and row["agree"] / chance, ".3g"),
            _show(row["zeros"], ".1%"),
            _show(row["cosine"], ".4f"),
        ]
        for name, row in rows.items()
    ]
    head = [title, "numbers", "agree", "x chance", "zeros", "cosine"]
    yield from aligned([head, *lines], room=shutil.get_terminal_size().columns)


def _members(members: Sequence[Mapping]) -> Iterator[str]:
    names = _without_what_all_have([member["name"] for member in members])
    width = len(str(len(members)))
    lines = [
        [
            f"{number:>{width}}  {name}",
            f"{member['norm']:.4g}",
            _show(member["cosine"], ".4f"),
            _show(member["lowest"], ".4f"),
            "unlike" if member["outlier"] else "",
        ]
        for number, (name, member) in enumerate(zip(names, members, strict=True), start=1)
    ]
    head = ["member", "norm", "cosine", "lowest", ""]
    yield from aligned([head, *lines], room=shutil.get_terminal_size().columns)


def _summary(report: Mapping) -> Iterator[str]:
    row, count, chance = report["all"], len(report["members"]), report["chance"]
    vectors = f"{count} vectors" if count > 1 else "1 vector"
    yield f"{vectors} of {row['numbers']:,} numbers, of which {_show(row['zeros'], '.2%')} are zero"
    if report["untouched"]:
        yield f"{report['untouched']:,} more numbers are in tensors that no model changes"
    if row["agree"] is not None and count > 1:
        yield (
            f"all agree in sign on {row['agree']:.2%}, {row['agree'] / chance:.3g} times the chance"
            f" of {100 * chance:.3g}%"
        )
    known = [c for place, r in enumerate(report["cosines"]) for c in r[:place] if c is not None]
    if known:
        yield f"cosines of pairs {min(known):.4f} to {max(known):.4f}, mean {row['cosine']:.4f}"
    for number, member in enumerate(report["members"], start=1):
        if member["outlier"]:
            yield (
                f"member {number} does not seem to be of this pool: its mean cosine to the others "
                f"is {member['cosine']:.4f}"
            )


def _without_what_all_have(names: Sequence[str]) -> list[str]:
    """Return paths without the folders that all lie in, and without the ending of all."""
    if len(set(names)) < 2:
        return list(names)
    folder = os.path.commonprefix(names).rpartition("/")  # noqa: RUF071
    ending = os.path.commonprefix([name[::-1] for name in names])[::-1]  # noqa: RUF071
    # From a mark on, so that no word is cut.
    ending = re.sub(r"^[^/._-]*", "", ending)
    start = len("".join(folder[:2]))
    return [name[start : len(name) - len(ending)] or name for name in names]


def _show(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


# Above these numbers, labels of layers and cosines of pairs would lie over one another.
LAYERS, MEMBERS = 40, 10


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
    apart = [label for label, member in zip(labels, members, strict=True) if member["outlier"]]
    note = f"; unlike the others: {', '.join(apart)}" if apart else ""
    axes.set(xlabel="member", ylabel="member")
    axes.set_title(f"Cosines of the members{note}")
    return shown


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"…{name[-27:]}"
