"""Print how far the vectors of a pool agree, layer by layer."""

import argparse
import sys

from negmerge import arguments

SUMMARY = "show how far task vectors agree: signs, zeros and cosines, layer by layer"
EPILOG = "example:\n  negmerge inspect pool/*.safetensors --base base.safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the pool."""
    arguments.add_pool(parser)
    arguments.add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Compare the vectors.

    Raises:
        UserError: a file is wrong.
    """
    from negmerge.merging.inspection import describe, inspect_files

    report = inspect_files(
        options.files, options.base, key=options.key, progress=sys.stderr.isatty()
    )
    arguments.print_report(options, report, describe(report))
