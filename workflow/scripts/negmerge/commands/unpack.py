"""Unpack a study that somebody has packed."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from negmerge.commands import arguments

SUMMARY = "unpack a study that `negmerge pack` has packed, to go on with it"
EPILOG = (
    "Every file is compared with its checksum, and nothing stays if one does not fit. Call it in\n"
    "the folder with the Snakefile, of the version with which the study was packed.\n\n"
    "example:\n  negmerge unpack demo.crate.zip"
)

TABLE = "results/{}/tables/NAME.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the archive, and what may differ."""
    parser.add_argument("archive", metavar="ARCHIVE", type=Path, help="a zip file or a folder")
    parser.add_argument(
        "--other-code",
        action="store_true",
        help="accept an archive of another version of the workflow",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="replace files of config/ that differ from the archive's, and keep them as .before",
    )
    arguments.add(parser, "--json")


def run(options: argparse.Namespace) -> None:
    """Unpack, and say how to go on.

    Raises:
        UserError: the archive is damaged or another's, or does not fit here.
    """
    from negmerge.handover.unpacking import unpack

    report = unpack(
        options.archive,
        other_code=options.other_code,
        replace=options.replace,
        progress=sys.stderr.isatty(),
    )
    arguments.print_report(options, report, _lines(report))


def _lines(report: dict) -> Iterator[str]:
    from negmerge.jobs.verification import LEFT_OUT

    study = report["study"]
    size = f"{report['bytes'] / 1e6:,.1f} MB"
    yield f"results/{study}: {report['files']:,} files, {size}; each has the SHA-256 it should have"
    for place in report["replaced"]:
        yield f"yours is now {place}.before: {place}"
    yield f"to make a table anew, delete it, then snakemake --cores 1 -- {TABLE.format(study)}"
    if report["images"]:
        yield "to train or score more, first make the images, with the time of the results:"
        images, known = " ".join(report["images"]), f"results/{study}/{LEFT_OUT}"
        yield f"  snakemake --cores all -- {images} && touch -r {known} {images}"
    if report["weights"]:
        yield "the weights are not in the archive: what needs them is trained anew"
