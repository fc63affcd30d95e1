"""Print where two states differ."""

import argparse
import sys
from pathlib import Path

from negmerge.commands import arguments

SUMMARY = "show where the numbers, names, shapes or types of two states differ"
EPILOG = (
    "The exit status is 0 if they are equal, 1 if they differ, 2 after a mistake.\n\n"
    "example:\n  negmerge diff base.safetensors unlearned.safetensors"
)
MISTAKE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two states."""
    parser.add_argument("first", metavar="A", type=Path, help=arguments.STATE)
    parser.add_argument("second", metavar="B", type=Path, help=arguments.STATE)
    arguments.add_key(parser)
    arguments.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Compare the states.

    Returns:
        0 if they are equal, else 1.

    Raises:
        UserError: a file is wrong.
    """
    from negmerge.comparison import describe, diff_files

    report = diff_files(
        options.first, options.second, key=options.key, progress=sys.stderr.isatty()
    )
    arguments.print_report(options, report, describe(report))
    return 0 if report["equal"] else 1
