"""Check the files of a study against their records."""

import argparse
import sys
from pathlib import Path

from negmerge.commands import arguments

SUMMARY = "check the results of a study against their records"
EPILOG = (
    "This reads every file of the study and of the data that it was made from. It names the first\n"
    "that does not fit, with the command to continue. The exit status is 0 if all fit, 1 if one\n"
    "does not, 2 after a mistake.\n\n"
    "example:\n  negmerge verify results/demo"
)
MISTAKE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folder."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the results of a study")
    arguments.add(parser, "--json")


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
