"""Print how far the vectors of a pool agree, and which of them is unlike the others."""

import argparse
import sys
from pathlib import Path

from negmerge.commands import arguments

SUMMARY = "show how far a pool agrees: signs and cosines, by layer, kind of layer and member"
EPILOG = (
    "The layers come first and the summary last. A member is marked `unlike` if its mean cosine\n"
    "to the others is far below theirs.\n\n"
    "example:\n  negmerge inspect pool/*/ --base base/ --plot pool.png"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the pool, and where the figure goes."""
    arguments.add(parser, *arguments.POOL, *arguments.TENSORS, "--threads", "--json")
    parser.add_argument(
        "--plot",
        metavar="FILE",
        type=Path,
        help="a figure (.png or .pdf) of the layers' agreement and the members' cosines",
    )


def run(options: argparse.Namespace) -> None:
    """Compare the vectors."""
    from negmerge.standalone.inspection import describe, draw, inspect_files, require_plot

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
    arguments.print_report(options, report, describe(report))
