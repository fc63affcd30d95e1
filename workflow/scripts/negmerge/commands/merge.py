"""Merge files, and print how many numbers of the result are not zero."""

import argparse
import sys

from negmerge.commands import arguments

SUMMARY = "merge task vectors, or checkpoints of one base, into one vector"
EPILOG = (
    f"{arguments.METHODS}\n\n"
    "It reads the files block by block, and sums them in the order of the arguments.\n\n"
    "example:\n"
    "  negmerge merge negmerge pool/*.safetensors --base base.safetensors \\\n"
    "      -o merged.safetensors"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is merged, how, where and into what."""
    parser.add_argument("method", metavar="METHOD", help="the merge method, one of those below")
    arguments.add(parser, *arguments.POOL, "--option", *arguments.TENSORS)
    arguments.add(parser, "--threads", "--device", *arguments.OUTPUT)


def run(options: argparse.Namespace) -> None:
    """Merge."""
    arguments.refuse_overwriting(options)
    from negmerge.merging import merge_files

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
        **arguments.method_options(options),
    )
    for note in report["notes"]:
        arguments.tell(note)
    share = 100 * report["kept"] / max(report["numbers"], 1)
    counted = f"{report['kept']:,} of {report['numbers']:,} numbers are not zero ({share:.2f} %)"
    arguments.print_report(options, report, [f"{options.output}: {counted}"])
