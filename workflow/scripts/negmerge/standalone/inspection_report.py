"""An inspection of a pool as tables for people, and as a figure."""

import math
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from negmerge.errors import UserError
from negmerge.reporting import style
from negmerge.standalone.text_table import aligned

# Beside the first column a table takes so many characters at most; a name keeps some in any case.
REST, NARROWEST = 54, 20
# More labels of layers than this would lie over one another.
LAYERS = 40


def describe(report: Mapping) -> Iterator[str]:
    """Yield a report of `inspect_files` as tables that fit the terminal, at 80 columns or more."""
    room = max(shutil.get_terminal_size().columns - REST, NARROWEST)
    chance, count = report["chance"], len(report["members"])
    for part in ("layer", "kind"):
        rows = [[part, "numbers", "agree", "x chance", "zeros", "cosine"]]
        for name, row in report[f"{part}s"].items():
            times = row["agree"] and row["agree"] / chance
            shares = (_show(row["agree"], ".2%"), _show(times, ".3g"), _show(row["zeros"], ".1%"))
            cells = (f"{row['numbers']:,}", *shares, _show(row["cosine"], ".4f"))
            rows.append([_ending(name, room), *cells])
        yield from aligned(rows)
        yield ""
    rows, last = [["member", "norm", "cosine", "lowest", ""]], []
    for number, member in enumerate(report["members"], start=1):
        cosine, lowest = (_show(member[key], ".4f") for key in ("cosine", "lowest"))
        cells = [f"{number:>2}  {_ending(member['name'], room)}", f"{member['norm']:.4g}", cosine]
        rows.append([*cells, lowest, "unlike" if member["outlier"] else ""])
        if member["outlier"]:
            what = "does not seem to be of this pool: its mean cosine to the others"
            last.append(f"member {number} {what} is {cosine}")
    yield from aligned(rows)
    yield ""
    row = report["all"]
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
    yield from last


def _show(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _ending(name: str, room: int) -> str:
    return name if len(name) <= room else f"…{name[len(name) - room + 1 :]}"


def require_plot(path: Path) -> None:
    """Check that a figure can be drawn, before anything is computed for it."""
    if path.suffix not in (".png", ".pdf"):
        raise UserError(f"{path}: a figure's name ends in .png or .pdf")
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
        _draw_agreement(left, report)
        figure.colorbar(_draw_cosines(right, report), ax=right, label="cosine", shrink=0.85)
        style.save(figure, path)


def _draw_agreement(axes, report: Mapping) -> None:
    layers = {n: row for n, row in report["layers"].items() if row["agree"] is not None}
    places = list(enumerate(layers.values()))
    for kind, look in style.styles(sorted({row["kind"] for row in layers.values()})).items():
        points = [(place, 100 * row["agree"]) for place, row in places if row["kind"] == kind]
        axes.plot(*zip(*points, strict=True), ls="", ms=4.5, label=kind, **look)
    chance = 100 * report["chance"]
    axes.axhline(chance, color=style.BLACK, ls="--", lw=1, label=f"chance: {chance:.3g} %")
    axes.set(
        title="Share on which all members agree",
        xlabel="layer, in the order of the names",
        ylabel="agreement in sign (% of the numbers)",
        ylim=(0, None),
    )
    if len(layers) <= LAYERS:
        labels = [_ending(name, 28) for name in layers]
        axes.set_xticks(range(len(layers)), labels, rotation=90, fontsize=7)
    axes.legend(ncols=2, fontsize=8)


def _draw_cosines(axes, report: Mapping):
    matrix = [[math.nan if c is None else c for c in row] for row in report["cosines"]]
    pairs = [c for place, row in enumerate(matrix) for c in row[:place] if not math.isnan(c)]
    shown = axes.imshow(matrix, cmap="viridis", vmin=min([0, *pairs]), vmax=max(pairs, default=1))
    numbers = [str(number) for number in range(1, len(matrix) + 1)]
    axes.set_xticks(range(len(matrix)), numbers)
    axes.set_yticks(range(len(matrix)), numbers)
    axes.grid(False)
    members = zip(numbers, report["members"], strict=True)
    apart = ", ".join(number for number, member in members if member["outlier"])
    note = f"; unlike the others: {apart}" if apart else ""
    axes.set(title=f"Cosines of the members{note}", xlabel="member", ylabel="member")
    return shown
