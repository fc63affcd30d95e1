"""Write base - coefficient * vector."""

import argparse
from pathlib import Path

from negmerge import arguments

SUMMARY = "subtract a vector from a base: base - COEFFICIENT * vector"
EPILOG = (
    "example:\n  negmerge negate base.safetensors merged.safetensors 0.9 -o unlearned.safetensors"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is subtracted from what."""
    parser.add_argument(
        "base", metavar="BASE", type=Path, help=f"the weights before forgetting: {arguments.STATE}"
    )
    parser.add_argument("vector", metavar="VECTOR", type=Path, help="a task or merged vector")
    parser.add_argument(
        "coefficient", metavar="COEFFICIENT", type=arguments.finite, help="the factor of VECTOR"
    )
    arguments.add_key(parser)
    arguments.add_output(parser)


def run(options: argparse.Namespace) -> None:
    """Subtract.

    Raises:
        UserError: the output exists, or a file is wrong.
    """
    arguments.refuse_overwriting(options)
    from negmerge.negation import negate_files

    report = negate_files(
        options.base, options.vector, options.coefficient, options.output, key=options.key
    )
    arguments.print_report(options, report, [])
