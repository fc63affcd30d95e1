"""Arguments of the command line: those that commands share, and words read as values."""

import argparse
import json
import math
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from negmerge.errors import UserError

STATE = (
    "a safetensors file, a file of torch.save, an index of shards, a folder with one of these, or "
    "org/name@revision of the hub"
)


# A command that is run more often than this for a coefficient is a slip of the hand.
MOST = 1000


def option(text: str) -> tuple[str, bool | float | str]:
    """Read NAME=VALUE, with a number as a number, and true and false as truth values."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as density=0.2")
    for read in (int, float, {"true": True, "false": False}.__getitem__):
        try:
            return name, read(value)
        except (ValueError, KeyError):
            pass
    return name, value


def finite(text: str) -> float:
    """Read a number that is neither NaN nor infinite."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return number


def positive(text: str) -> float:
    """Read a number above 0."""
    number = finite(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def count(text: str) -> int:
    """Read a whole number from 1 on."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def coefficients(text: str) -> list[float]:
    """Read START:STOP:STEP as the numbers from START on, to STOP at most."""
    try:
        start, stop, step = map(finite, text.split(":"))
        count = math.floor((stop - start) / step + 1e-9)
    except (ValueError, ZeroDivisionError, argparse.ArgumentTypeError):
        start = stop = step = count = -1
    if not (start >= 0 and step > 0 and 0 <= count < MOST):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not START:STOP:STEP, such as 0:1:0.05, of {MOST} numbers at most"
        )
    # Rounded, so that they print as they are meant.
    return [round(start + number * step, 10) for number in range(count + 1)]


def add_pool(command: argparse.ArgumentParser) -> None:
    """Add the files of a pool, and the base of checkpoints."""
    command.add_argument("files", metavar="FILE", nargs="+", type=Path, help=STATE)
    command.add_argument(
        "--base",
        metavar="FILE",
        type=Path,
        help="the checkpoint before fine-tuning; with it, the files are checkpoints, not vectors",
    )
    add_key(command)


def add_key(command: argparse.ArgumentParser) -> None:
    """Add the choice among the states of a training checkpoint."""
    command.add_argument(
        "--key",
        metavar="KEY",
        help="the state to read, such as ema, from files of torch.save that hold several",
    )


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of a merge method."""
    command.add_argument(
        "--option",
        metavar="NAME=VALUE",
        type=option,
        action="append",
        default=[],
        help="an option of the method, a number, word, true or false; repeat it for several",
    )


def add_choice(command: argparse.ArgumentParser) -> None:
    """Add which tensors take part, and how inputs that do not quite fit are read."""
    for name, what in {"include": "take part, no others", "exclude": "do not take part"}.items():
        command.add_argument(
            f"--{name}",
            metavar="RE",
            action="append",
            default=[],
            help=f"tensors whose name this regular expression fits {what}; repeat it for several",
        )
    command.add_argument(
        "--vocabulary",
        choices=("base",),
        help="base: of embeddings with more or fewer rows take those of the base",
    )


def add_dtype(command: argparse.ArgumentParser) -> None:
    """Add the dtype of the output's floating-point numbers."""
    command.add_argument(
        "--dtype",
        choices=("auto", "float32", "bfloat16", "float16"),
        default="auto",
        help="of the output; auto is that of BASE",
    )


def add_evaluation(command: argparse.ArgumentParser) -> None:
    """Add how the command that `--evaluate` names chooses a coefficient."""
    command.add_argument(
        "--keep",
        metavar="SHARE",
        type=finite,
        help="the share of the base's control score to keep; 0.95 if none is given",
    )
    command.add_argument(
        "--coefficients",
        metavar="START:STOP:STEP",
        type=coefficients,
        help="the grid; 0:1:0.05 if none is given; 0, the base, is always in it",
    )
    command.add_argument(
        "--search",
        choices=("full", "fewer"),
        help="full (the default) measures the whole grid; fewer about log2 of it by bisection, "
        "with the same choice where both scores fall as the coefficient grows",
    )
    command.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=positive,
        help="stop a run of CMD that takes longer; without it, it may take for ever",
    )


def add_threads(command: argparse.ArgumentParser) -> None:
    """Add the number of threads."""
    # The processors that this process may use, where the system tells; else all.
    usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    command.add_argument(
        "--threads",
        metavar="N",
        type=count,
        default=len(usable),
        help="number of threads (default: the processors that it may use); no bit depends on it",
    )


def add_computing(command: argparse.ArgumentParser) -> None:
    """Add the threads and the device of a merge."""
    add_threads(command)
    command.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="the device that merges"
    )


def tell(line: str) -> None:
    """Print a line that the user ought to see, on standard error."""
    print(f"note: {line}", file=sys.stderr)


def add_output(command: argparse.ArgumentParser) -> None:
    """Add where a result is written, and how it is reported."""
    command.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True, help="the file to write"
    )
    command.add_argument("--force", action="store_true", help="overwrite OUT if it exists")
    add_json(command)


def add_json(command: argparse.ArgumentParser) -> None:
    """Add the choice of a report for programs."""
    command.add_argument("--json", action="store_true", help="print a report as JSON")


def command_line(options: argparse.Namespace) -> str:
    """Return the command that runs, as it can be typed again."""
    return shlex.join(["negmerge", *options.words])


def refuse_overwriting(options: argparse.Namespace) -> None:
    """Check that what `add_output` added may be written.

    Raises:
        UserError: it exists, and was not to be overwritten.
    """
    if options.output.exists() and not options.force:
        raise UserError(f"{options.output}: exists already; --force overwrites it")


def print_report(options: argparse.Namespace, report: dict, lines: Iterable[str]) -> None:
    """Print a report as JSON if that was asked for, else as lines for people."""
    for line in [json.dumps(report, indent=2)] if options.json else lines:
        print(line)
