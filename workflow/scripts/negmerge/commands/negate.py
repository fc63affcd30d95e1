"""Write base - coefficient * vector."""

import argparse

from negmerge.commands import arguments

SUMMARY = "subtract a vector from a base: base - COEFFICIENT * vector"
EPILOG = (
    "example:\n  negmerge negate base.safetensors merged.safetensors 0.9 -o unlearned.safetensors"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is subtracted from what."""
    parser.add_argument(
        "base", metavar="BASE", help=f"the weights before forgetting: {arguments.STATE}"
    )
    parser.add_argument("vector", metavar="VECTOR", help="a task or merged vector")
    parser.add_argument(
        "coefficient", metavar="COEFFICIENT", type=arguments.finite, help="the factor of VECTOR"
    )
    arguments.add(parser, "--dtype", "--key", "--threads", *arguments.OUTPUT)


def run(options: argparse.Namespace) -> None:
    """Subtract."""
    from negmerge.standalone.unlearning import negate_files

    report = negate_files(
        options.base,
        options.vector,
        options.coefficient,
        options.output,
        options.dtype,
        key=options.key,
        force=options.force,
        threads=options.threads,
        tell=arguments.tell,
        command=arguments.command_line(options),
    )
    arguments.print_report(options, report, [])
