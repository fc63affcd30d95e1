"""Print how far the vectors of a pool agree, and which of them is unlike the others."""

import argparse
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from negmerge.commands import arguments

SUMMARY = "show how far a pool agrees: signs and cosines, by layer, kind of layer and member"
EPILOG = (
    "The layers come first and the summary last. A member is marked `unlike` if its mean cosine\n"
    "to the others is far below theirs.\n\n"
    "example:\n  negmerge inspect pool/*/ --base base/ --plot pool.png"
)

# Beside the first column a table takes so many characters at most; a name keeps some in any case.
REST, NARROWEST = 54, 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the pool, and where the figure goes."""
    arguments.add(parser, *arguments.POOL, *arguments.TENSORS, "--threads", "--json")
    parser.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="write a figure (.png or .pdf) of the layers' agreement and the members' cosines",
    )


def run(options: argparse.Namespace) -> None:
    """Compare the vectors."""
    from negmerge.standalone.inspection import draw, inspect_files, require_plot

    if options.plot:
        require_plot(options.plot)
    report = inspect_files(
        options.files,
        options.base,
        include=options.include,
        exclude=options.exclude,
        vocabulary=options.vocabulary,
        key=options.key,
        threads=options.threads,
        progress=sys.stderr.isatty(),
    )
    for note in report["notes"]:
        arguments.tell(note)
    if options.plot:
        draw(report, options.plot)
    arguments.print_report(options, report, _lines(report))


def _lines(report: Mapping) -> Iterator[str]:
    """Yield a report of `inspect_files` as tables that fit the terminal, at 80 columns or more."""
    from negmerge.standalone.inspection import ending

    room = max(shutil.get_terminal_size().columns - REST, NARROWEST)
    chance, count = report["chance"], len(report["members"])
    for part in ("layer", "kind"):
        rows = [[part, "numbers", "agree", "x chance", "zeros", "cosine"]]
        for name, row in report[f"{part}s"].items():
            times = row["agree"] and row["agree"] / chance
            shares = (_show(row["agree"], ".2%"), _show(times, ".3g"), _show(row["zeros"], ".1%"))
            cells = (f"{row['numbers']:,}", *shares, _show(row["cosine"], ".4f"))
            rows.append([ending(name, room), *cells])
        yield from arguments.aligned(rows)
        yield ""
    rows, last = [["member", "norm", "cosine", "lowest", ""]], []
    for number, member in enumerate(report["members"], start=1):
        cosine, lowest = (_show(member[key], ".4f") for key in ("cosine", "lowest"))
        cells = [f"{number:>2}  {ending(member['name'], room)}", f"{member['norm']:.4g}", cosine]
        rows.append([*cells, lowest, "unlike" if member["outlier"] else ""])
        if member["outlier"]:
            what = "does not seem to be of this pool: its mean cosine to the others"
            last.append(f"member {number} {what} is {cosine}")
    yield from arguments.aligned(rows)
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
