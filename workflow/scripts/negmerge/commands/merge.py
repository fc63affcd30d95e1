"""Merge files, and print how many numbers of the result are not zero."""

import argparse
import sys

from negmerge import plugins
from negmerge.commands import arguments
from negmerge.errors import find

SUMMARY = "merge task vectors, or checkpoints of one base, into one vector"
EPILOG = (
    f"methods: {', '.join(plugins.names(plugins.MERGE_METHODS))}\n\n"
    "It reads the files block by block, and sums them in the order of the arguments.\n\n"
    "example:\n"
    "  negmerge merge negmerge pool/*.safetensors --base base.safetensors \\\n"
    "      -o merged.safetensors"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is merged, how, where and into what."""
    parser.add_argument("method", metavar="METHOD", help="how to merge")
    arguments.add_pool(parser)
    arguments.add_options(parser)
    arguments.add_choice(parser)
    arguments.add_computing(parser)
    arguments.add_output(parser)


def run(options: argparse.Namespace) -> None:
    """Merge.

    Raises:
        UserError: the output exists, or the method, an option or a file is wrong.
    """
    arguments.refuse_overwriting(options)
    from negmerge.merging import METHODS, merge_files

    settings = dict(options.option)
    find("merge method", options.method, METHODS).check(options.method, settings)
    report = merge_files(
        options.method,
        options.files,
        options.output,
        base=options.base,
        key=options.key,
        progress=sys.stderr.isatty(),
        threads=options.threads,
        device=options.device,
        include=options.include,
        exclude=options.exclude,
        vocabulary=options.vocabulary,
        **settings,
    )
    for note in report["notes"]:
        arguments.tell(note)
    kept, numbers = report["kept"], report["numbers"]
    share = 100 * kept / max(numbers, 1)
    line = f"{options.output}: {kept:,} of {numbers:,} numbers are not zero ({share:.2f} %)"
    arguments.print_report(options, report, [line])
