"""Merge a pool and subtract the result from its base."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from negmerge import arguments, plugins

SUMMARY = "make a model forget what the models of a pool were fine-tuned on"
EPILOG = (
    f"methods: {', '.join(plugins.names(plugins.MERGE_METHODS))}\n\n"
    "OUT is a folder that loads like BASE, if BASE is one, else a safetensors file. An\n"
    "interrupted run leaves nothing at OUT; the same command goes on where it was.\n\n"
    "example:\n"
    "  negmerge unlearn base/ pool/*/ -o unlearned/ --coefficient 0.9"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is unlearned, how and into what."""
    parser.add_argument(
        "base", metavar="BASE", help=f"the model that is to forget: {arguments.STATE}"
    )
    parser.add_argument(
        "pool",
        metavar="POOL",
        nargs="+",
        help="a model fine-tuned from it, likewise, or an adapter",
    )
    parser.add_argument(
        "--coefficient",
        metavar="C",
        type=arguments.finite,
        help="the scale of the subtracted vector",
    )
    parser.add_argument("--method", metavar="METHOD", default="negmerge", help="how to merge")
    arguments.add_options(parser)
    arguments.add_choice(parser)
    arguments.add_key(parser)
    arguments.add_dtype(parser)
    parser.add_argument(
        "--vector-only", action="store_true", help="write the merged vector, subtract nothing"
    )
    parser.add_argument(
        "--max-shard-size",
        metavar="SIZE",
        default="5GB",
        help="the largest file of weights in a folder; 5GB if none is given",
    )
    arguments.add_computing(parser)
    arguments.add_output(parser)


def run(options: argparse.Namespace) -> None:
    """Unlearn.

    Raises:
        UserError: an input is wrong, or the output cannot be written.
    """
    from negmerge.standalone.unlearning import unlearn

    report = unlearn(
        options.base,
        options.pool,
        options.output,
        method=options.method,
        coefficient=options.coefficient,
        dtype=options.dtype,
        vector_only=options.vector_only,
        include=options.include,
        exclude=options.exclude,
        vocabulary=options.vocabulary,
        key=options.key,
        max_shard_size=options.max_shard_size,
        force=options.force,
        threads=options.threads,
        device=options.device,
        progress=sys.stderr.isatty(),
        tell=arguments.tell,
        command=arguments.command_line(),
        **dict(options.option),
    )
    arguments.print_report(options, report, _lines(options.output, report))


def _lines(output: Path, report: Mapping) -> Iterator[str]:
    kept, numbers = report["kept"], report["numbers"]
    share = 100 * kept / max(numbers, 1)
    yield f"{output}: the vector changes {kept:,} of {numbers:,} numbers ({share:.2f} %)"
