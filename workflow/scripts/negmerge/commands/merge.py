"""Merge files, and print how many numbers of the result are not zero."""

import argparse
import sys

from negmerge import arguments, plugins
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
    parser.add_argument(
        "--option",
        metavar="NAME=VALUE",
        type=arguments.option,
        action="append",
        default=[],
        help="an option of the method, a number, word, true or false; repeat it for several",
    )
    parser.add_argument(
        "--threads", metavar="N", type=arguments.count, default=1, help="number of threads"
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="the device that merges"
    )
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
        **settings,
    )
    kept, numbers = report["kept"], report["numbers"]
    share = 100 * kept / max(numbers, 1)
    line = f"{options.output}: {kept:,} of {numbers:,} numbers are not zero ({share:.2f} %)"
    arguments.print_report(options, report, [line])
