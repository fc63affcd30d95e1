"""Check that the files of a study are those that their records tell of."""

import argparse
import sys
from pathlib import Path

from negmerge import arguments

SUMMARY = "check that the results of a study are those that their records tell of"
EPILOG = (
    "Every file is read, of the study and of the data that it was made from. The first that does\n"
    "not fit is named, with the command to go on. The exit status is 0 if all fit, 1 if one does\n"
    "not, 2 after a mistake.\n\n"
    "example:\n  negmerge verify results/demo"
)
MISTAKE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the results of a study")
    arguments.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Check the files.

    Returns:
        0 if all fit, else 1.

    Raises:
        UserError: there is no such folder, or it has no records.
    """
    from negmerge.jobs.verification import describe, verify

    report = verify(options.folder, progress=sys.stderr.isatty())
    arguments.print_report(options, report, describe(report))
    return 0 if report["fits"] else 1
