"""Pack a study, to hand it on."""

import argparse
import sys
from pathlib import Path

from negmerge.commands import arguments

SUMMARY = "pack a study that has run: its numbers, settings and records, to hand it on"
EPILOG = (
    "The zip file is an RO-Crate. In another copy of the workflow, `unzip -o` puts the files into\n"
    "their places, and `snakemake --touch` accepts them. Call it in the Snakefile's folder.\n"
    "\nexample:\n  negmerge pack demo\n  negmerge pack demo -o demo-with-weights.zip --weights"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        help="the zip file; STUDY.crate.zip if none is given",
    )
    parser.add_argument("--weights", action="store_true", help="pack all weights as well")
    parser.add_argument("--licence", metavar="TEXT", help="the terms of use of what is packed")
    arguments.add(parser, "study", "--json")


def run(options: argparse.Namespace) -> None:
    from negmerge.pack import pack

    report = pack(
        options.study,
        options.output or Path(f"{options.study}.crate.zip"),
        weights=options.weights,
        licence=options.licence,
        progress=sys.stderr.isatty(),
    )
    size = f"{report['bytes'] / 1e6:,.1f} MB"
    lines = [f"{report['output']}: {report['files']:,} files, {size}"]
    if report["left_out"]:
        lines.append(f"not packed, but named with their SHA-256: {report['left_out']:,} files")
    arguments.print_report(options, report, lines)
