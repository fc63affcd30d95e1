"""Merge a pool and subtract the result from its base."""

import argparse
import re
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
    "interrupted run leaves nothing at OUT.\n\n"
    "CMD is run on the base and on a model for each coefficient; {model} in it becomes the place\n"
    "of the model. Its last line must be JSON with two numbers, larger where more is remembered:\n"
    '{"forget": 0.41, "control": 0.63}. The command chooses the lowest forget score that keeps\n'
    "the share --keep of the base's control score; among equals, the smaller coefficient. CMD is\n"
    "split into words as a shell does, but no shell runs it: for a pipe, write \"sh -c '...'\".\n\n"
    "examples:\n"
    "  negmerge unlearn base/ pool/*/ -o unlearned/ --coefficient 0.9\n"
    "  negmerge unlearn base/ pool/*/ -o unlearned/ --evaluate 'python my_eval.py {model}'\n"
    "  negmerge unlearn base/ pool/*/ -o unlearned/ --coefficient 0.9 --part 3/16"
)
# How CMD chooses a coefficient; what is not given is left to the library.
EVALUATION = ("keep", "coefficients", "search", "timeout")
PASSED_ON = (
    *("method", "dtype", "include", "exclude", "vocabulary", "key", "adapter", "max_shard_size"),
    *("push_to", "force", "threads", "device"),
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
        help="a model that was fine-tuned from BASE, in one of the same forms, or an adapter",
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
        "--vector-only",
        action="store_true",
        help="write the merged vector alone, and subtract nothing",
    )
    parser.add_argument(
        "--keep",
        metavar="SHARE",
        type=arguments.finite,
        help="how much of the base's control score must be kept; 0.95 if none is given",
    )
    parser.add_argument(
        "--coefficients",
        metavar="START:STOP:STEP",
        type=arguments.coefficients,
        help="the coefficients to try; 0:1:0.05 if none are given; 0, the base, always counts",
    )
    parser.add_argument(
        "--search",
        choices=("full", "fewer"),
        help="full, the default, measures the whole grid; fewer measures about log2 of it by"
        " bisection, and chooses the same where both scores fall as the coefficient "
        "grows",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=arguments.positive,
        help="stop a run of CMD that takes longer; there is no limit if none is given",
    )
    parser.add_argument(
        "--method",
        metavar="METHOD",
        default="negmerge",
        help="the merge method; negmerge if none is given",
    )
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
    parser.add_argument(
        "--part",
        metavar="I/N",
        type=part,
        help="write the I-th of N parts of OUT, such as 3/16; the job that finishes last makes OUT "
        "of all parts; 0/N writes the survey alone",
    )
    parser.add_argument(
        "--survey",
        metavar="FILE",
        type=Path,
        help="the file with what a method such as ties must know of all models before it "
        "makes parts",
    )
    parser.add_argument(
        "--push-to",
        metavar="ORG/NAME",
        help="upload OUT, a folder, to this repository of the hub; if it does not exist, a private "
        "one is made",
    )
    arguments.add(parser, "--threads", "--device", *arguments.OUTPUT)


def part(text: str) -> tuple[int, int]:
    """Read I/N."""
    numbers = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
    if not numbers:
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N, such as 3/16")
    return int(numbers[1]), int(numbers[2])


def run(options: argparse.Namespace) -> None:
    """Unlearn."""
    given = {name: vars(options)[name] for name in EVALUATION if vars(options)[name] is not None}
    if options.evaluate is not None:
        if options.part is not None or options.survey is not None:
            raise UserError("--evaluate goes with neither --part nor --survey")
        from negmerge.standalone.evaluating import unlearn_by_evaluation

        act = partial(unlearn_by_evaluation, evaluate=options.evaluate, **given)
    elif given:
        raise UserError(f"--{next(iter(given))} goes with --evaluate, which is missing")
    else:
        from negmerge.standalone.unlearning import unlearn

        act = partial(
            unlearn,
            coefficient=options.coefficient,
            vector_only=options.vector_only,
            part=options.part,
            survey=options.survey,
        )
    report = act(
        options.base,
        options.pool,
        options.output,
        **{name: vars(options)[name] for name in PASSED_ON},
        progress=sys.stderr.isatty(),
        tell=arguments.tell,
        # That of a single job, the same for all parts; a beginning of an option stands for it.
        command=re.sub(r" --(pa|su)\w*[ =]('[^']*'|\S+)", "", arguments.command_line(options)),
        **arguments.method_options(options),
    )
    arguments.print_report(options, report, _lines(options.output, report))


def _lines(output: Path, report: Mapping) -> Iterator[str]:
    if "survey" in report:
        yield f"{report['survey']}: holds the survey of {report['method']}"
        return
    if "missing" in report:
        done, count = report["part"]
        missing = ", ".join(map(str, report["missing"]))
        yield f"{output}: part {done} of {count} is written; missing: {missing}"
        return
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
