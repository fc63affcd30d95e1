"""An inspection of a pool as tables for people, the summary last."""

import shutil
from collections.abc import Iterator, Mapping, Sequence

# Numbers, agreement and so on take the rest of a line.
NARROWEST, OTHER_COLUMNS = 24, 54


def describe(report: Mapping) -> Iterator[str]:
    """Yield a report of `inspect_files` as tables, no wider than a terminal of 80 columns or more.

    Names that are too long lose their beginning.
    """
    width = max(shutil.get_terminal_size().columns - OTHER_COLUMNS, NARROWEST)
    for title in ("layer", "kind"):
        yield from _parts(title, report[f"{title}s"], report["chance"], width)
        yield ""
    yield from _members(report["members"], width)
    yield ""
    yield from _summary(report)


def _parts(title: str, rows: Mapping[str, Mapping], chance: float, width: int) -> Iterator[str]:
    names, shown = _names(title, list(rows), width)
    yield f"{names}  {'numbers':>14}  {'agree':>8}  {'x chance':>8}  {'zeros':>7}  {'cosine':>7}"
    for name, row in zip(shown, rows.values(), strict=True):
        times = None if row["agree"] is None else row["agree"] / chance
        cells = [
            f"{row['numbers']:>14,}",
            _show(row["agree"], ".2%", 8),
            _show(times, ".3g", 8),
            _show(row["zeros"], ".1%", 7),
            _show(row["cosine"], ".4f", 7),
        ]
        yield "  ".join([name, *cells])


def _members(members: Sequence[Mapping], width: int) -> Iterator[str]:
    names, shown = _names("member", [member["name"] for member in members], width)
    yield f"{'':>3}  {names}  {'norm':>10}  {'cosine':>7}  {'lowest':>7}"
    for number, (name, member) in enumerate(zip(shown, members, strict=True), start=1):
        cells = [
            f"{member['norm']:>10.4g}",
            _show(member["cosine"], ".4f", 7),
            _show(member["lowest"], ".4f", 7),
        ]
        mark = "  unlike" if member["outlier"] else ""
        yield "  ".join([f"{number:>3}", name, *cells]) + mark


def _summary(report: Mapping) -> Iterator[str]:
    row, count, chance = report["all"], len(report["members"]), report["chance"]
    vectors = f"{count} vectors" if count > 1 else "1 vector"
    yield f"{vectors} of {row['numbers']:,} numbers, of which {_show(row['zeros'], '.2%')} are zero"
    if row["agree"] is not None:
        share, random = f"{row['agree']:.2%}", f"{chance:.3g}" if chance < 1e-4 else f"{chance:.2%}"
        yield f"all agree in sign on {share}; by chance {random}: {row['agree'] / chance:.3g} times"
    known = [
        c for place, r in enumerate(report["cosines"]) for c in r[place + 1 :] if c is not None
    ]
    if known:
        yield f"cosines of pairs {min(known):.4f} to {max(known):.4f}, mean {row['cosine']:.4f}"
    for number, member in enumerate(report["members"], start=1):
        if member["outlier"]:
            yield (
                f"member {number} does not seem to be of this pool: its mean cosine to the others "
                f"is {member['cosine']:.4f}"
            )


def _names(title: str, names: Sequence[str], width: int) -> tuple[str, list[str]]:
    """Fit a column of names, and its title, to their length and the width at most."""
    width = min(max(map(len, [title, *names])), width)
    return title.ljust(width), [
        (name if len(name) <= width else f"…{name[1 - width :]}").ljust(width) for name in names
    ]


def _show(value: float | None, form: str, width: int = 0) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"
