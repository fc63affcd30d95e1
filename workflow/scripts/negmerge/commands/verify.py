"""Check the files of a study against their records."""

import argparse
import sys
from collections.abc import Iterator
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
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the results of a study")
    arguments.add(parser, "--json")


def run(options: argparse.Namespace) -> int:
    """Check the files; 0 if all fit, else 1."""
    from negmerge.jobs.verification import verify

    report = verify(options.folder, progress=sys.stderr.isatty())
    arguments.print_report(options, report, _lines(report))
    return 0 if report["fits"] else 1


def _lines(report: dict) -> Iterator[str]:
    if report["fits"]:
        size, dropped = f"{report['bytes'] / 1e6:,.1f} MB", report["dropped"]
        yield f"{report['study']}: all fits, {report['files']} files, {size}"
        if dropped:
            yield f"files that are gone, needed by no job or left out of an archive: {dropped}"
    else:
        finding = report["finding"]
        yield f"{finding['file']}: {finding['problem']}"
        yield f"to go on: {finding['command']}"
