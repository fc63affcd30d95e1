"""Merge a pool and subtract the result from its base."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from negmerge.commands import arguments
from negmerge.errors import UserError

SUMMARY = "make a model forget what the models of a pool were fine-tuned on"
EPILOG = (
    f"{arguments.METHODS}\n\n"
    "OUT is a folder that loads like BASE, if BASE is one, else a safetensors file. An\n"
    "interrupted run leaves nothing at OUT; the same command goes on where it was.\n\n"
    "CMD is run on the base and on a model for each coefficient; {model} in it becomes the place\n"
    "of the model. Its last line must be JSON with two numbers, larger where more is remembered:\n"
    '{"forget": 0.41, "control": 0.63}. Chosen is the lowest forget score that keeps the share\n'
    "--keep of the base's control score; among equals, the smaller coefficient. CMD is split into\n"
    "words as a shell does, but no shell runs it: for a pipe, write \"sh -c '...'\".\n\n"
    "examples:\n"
    "  negmerge unlearn base/ pool/*/ -o unlearned/ --coefficient 0.9\n"
    "  negmerge unlearn base/ pool/*/ -o unlearned/ --evaluate 'python my_eval.py {model}'"
)
# How CMD chooses a coefficient; what is not given is left to the library.
EVALUATION = ("keep", "coefficients", "search", "timeout")


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
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--coefficient",
        metavar="C",
        type=arguments.finite,
        help="the scale of the subtracted vector",
    )
    what.add_argument(
        "--evaluate",
        metavar="CMD",
        help="choose the coefficient by the scores that CMD prints for the model {model}",
    )
    what.add_argument(
        "--vector-only", action="store_true", help="write the merged vector, subtract nothing"
    )
    parser.add_argument(
        "--keep",
        metavar="SHARE",
        type=arguments.finite,
        help="the share of the base's control score to keep; 0.95 if none is given",
    )
    parser.add_argument(
        "--coefficients",
        metavar="START:STOP:STEP",
        type=arguments.coefficients,
        help="the grid; 0:1:0.05 if none is given; 0, the base, is always in it",
    )
    parser.add_argument(
        "--search",
        choices=("full", "fewer"),
        help="full (the default) measures the whole grid; fewer about log2 of it by bisection, "
        "with the same choice where both scores fall as the coefficient grows",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=arguments.positive,
        help="stop a run of CMD that takes longer; without it, it may take for ever",
    )
    parser.add_argument("--method", metavar="METHOD", default="negmerge", help="how to merge")
    arguments.add(parser, "--option", *arguments.TENSORS, "--key", "--dtype")
    parser.add_argument(
        "--adapter",
        metavar="RANK",
        help="write an adapter of this rank, not a model",
    )
    parser.add_argument(
        "--max-shard-size",
        metavar="SIZE",
        default="5GB",
        help="the largest file of weights in a folder; 5GB if none is given",
    )
    arguments.add(parser, "--threads", "--device", *arguments.OUTPUT)


def run(options: argparse.Namespace) -> None:
    """Unlearn."""
    given = {name: vars(options)[name] for name in EVALUATION if vars(options)[name] is not None}
    if options.evaluate is not None:
        from negmerge.standalone.evaluating import unlearn_by_evaluation

        act = partial(unlearn_by_evaluation, evaluate=options.evaluate, **given)
    elif given:
        raise UserError(f"--{next(iter(given))} goes with --evaluate, which is missing")
    else:
        from negmerge.standalone.unlearning import unlearn

        act = partial(unlearn, coefficient=options.coefficient, vector_only=options.vector_only)
    report = act(
        options.base,
        options.pool,
        options.output,
        method=options.method,
        dtype=options.dtype,
        include=options.include,
        exclude=options.exclude,
        vocabulary=options.vocabulary,
        key=options.key,
        adapter=options.adapter,
        max_shard_size=options.max_shard_size,
        force=options.force,
        threads=options.threads,
        device=options.device,
        progress=sys.stderr.isatty(),
        tell=arguments.tell,
        command=arguments.command_line(options),
        **arguments.method_options(options),
    )
    arguments.print_report(options, report, _lines(options.output, report))


def _lines(output: Path, report: Mapping) -> Iterator[str]:
    if "evaluation" in report:
        measured = {row["coefficient"]: row for row in report["evaluation"]["measurements"]}
        base, chosen = measured[0], measured[report["coefficient"]]
        yield (
            f"coefficient {report['coefficient']:g}: forget from {base['forget']:.4g} to "
            f"{chosen['forget']:.4g}, control from {base['control']:.4g} to "
            f"{chosen['control']:.4g} ({100 * chosen['control'] / base['control']:.1f} %)"
        )
    for name, lost in report.get("adapter", {}).get("tensors", {}).items():
        yield f"{name}: {100 * lost:.2f} % lost"
    kept, numbers = report["kept"], report["numbers"]
    share = 100 * kept / max(numbers, 1)
    yield f"{output}: the vector changes {kept:,} of {numbers:,} numbers ({share:.2f} %)"
