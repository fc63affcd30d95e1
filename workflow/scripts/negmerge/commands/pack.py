"""Pack a study, to hand it on."""

import argparse
import sys
from pathlib import Path

from negmerge.commands import arguments
from negmerge.errors import UserError

SUMMARY = "pack a study that has run: its numbers, settings and records, to hand it on"
EPILOG = (
    "The archive is a Provenance Run RO-Crate: a zip file, or a folder if OUT does not end with\n"
    ".zip. Weights and images are named with their SHA-256, and packed only if you ask for them.\n"
    "Call it in the folder with the Snakefile.\n\n"
    "example:\n  negmerge pack demo\n  negmerge pack demo -o demo-with-weights.zip --weights"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the study, what is packed, and where."""
    parser.add_argument("study", metavar="STUDY", help="the name of its file, without .yaml")
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, help="the archive; default: STUDY.crate.zip"
    )
    parser.add_argument("--weights", action="store_true", help="pack all weights too")
    parser.add_argument(
        "--images",
        action="store_true",
        help="pack the prepared images too; see whether their licences allow it",
    )
    parser.add_argument("--licence", metavar="TEXT", help="the terms of use of what is packed")
    arguments.add(parser, "--json")


def run(options: argparse.Namespace) -> None:
    """Pack.

    Raises:
        UserError: the study has not run to its report, or a file is not as it was made.
    """
    from negmerge.handover.packing import pack

    output = options.output or Path(f"{options.study}.crate.zip")
    if output.exists():
        raise UserError(f"{output}: exists already; delete it, or name another with -o")
    report = pack(
        options.study,
        output,
        weights=options.weights,
        images=options.images,
        licence=options.licence,
        progress=sys.stderr.isatty(),
    )
    size = f"{report['archive_bytes'] / 1e6:,.1f} MB"
    lines = [f"{output}: {report['files']:,} files, {size}"]
    if report["left_out"]:
        lines.append(f"named with their SHA-256, and not packed: {report['left_out']:,} files")
    arguments.print_report(options, report, lines)
