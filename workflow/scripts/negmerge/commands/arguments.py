"""Arguments that several commands take, each described once, and words read as values."""

import argparse
import json
import math
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from negmerge import plugins
from negmerge.errors import UserError, find

STATE = (
    "a safetensors file, a file of torch.save, an index of shards, a folder with one of these, or "
    "org/name@revision of the hub"
)
METHODS = f"methods: {', '.join(plugins.names(plugins.MERGE_METHODS))}"
# A command that is run more often than this for a coefficient is a slip of the hand.
MOST = 1000
# The processors that this process may use, where the system tells; else all.
PROCESSORS = len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0))


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
        steps = math.floor((stop - start) / step + 1e-9)
    except (ValueError, ZeroDivisionError, argparse.ArgumentTypeError):
        start = step = steps = -1
    if not (start >= 0 and step > 0 and 0 <= steps < MOST):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not START:STOP:STEP, such as 0:1:0.05, of {MOST} numbers at most"
        )
    # Rounded, so that they print as they are meant.
    return [round(start + number * step, 10) for number in range(steps + 1)]


# What `add` adds, by name, and the groups of these that commands share.
ARGUMENTS = {
    "study": {"metavar": "STUDY", "help": "the name of its file, without .yaml"},
    "files": {"metavar": "FILE", "nargs": "+", "type": Path, "help": STATE},
    "--base": {
        "metavar": "FILE",
        "type": Path,
        "help": "the checkpoint before fine-tuning; with it, the files are checkpoints, not "
        "vectors",
    },
    "--key": {
        "metavar": "KEY",
        "help": "the state to read, such as ema, from files of torch.save that hold several",
    },
    "--option": {
        "metavar": "NAME=VALUE",
        "type": option,
        "action": "append",
        "default": [],
        "help": "an option of the method, a number, word, true or false; repeat it for several",
    },
    "--include": {
        "metavar": "RE",
        "action": "append",
        "default": [],
        "help": "only tensors whose name this regular expression fits take part; repeat it for "
        "several",
    },
    "--exclude": {
        "metavar": "RE",
        "action": "append",
        "default": [],
        "help": "tensors whose name this regular expression fits do not take part; repeat it for "
        "several",
    },
    "--vocabulary": {
        "choices": ("base",),
        "help": "base: of embeddings with more or fewer rows take those of the base",
    },
    "--dtype": {
        "choices": ("auto", "float32", "bfloat16", "float16"),
        "default": "auto",
        "help": "of the output's floating-point numbers; auto is that of BASE",
    },
    "--threads": {
        "metavar": "N",
        "type": count,
        "default": PROCESSORS,
        "help": "number of threads (default: the processors that it may use); no bit depends on it",
    },
    "--device": {
        "choices": ("cpu", "cuda"),
        "default": "cpu",
        "help": "the device that merges",
    },
    "--output": {
        "metavar": "OUT",
        "type": Path,
        "required": True,
        "help": "the file or folder to write",
    },
    "--force": {"action": "store_true", "help": "overwrite what is there"},
    "--json": {"action": "store_true", "help": "print a report as JSON"},
}
POOL = ("files", "--base", "--key")
TENSORS = ("--include", "--exclude", "--vocabulary")
OUTPUT = ("--output", "--force", "--json")


def add(command: argparse.ArgumentParser, *names: str) -> None:
    """Add arguments by their names."""
    for name in names:
        flags = ("-o", name) if name == "--output" else (name,)
        command.add_argument(*flags, **ARGUMENTS[name])


def method_options(options: argparse.Namespace) -> dict[str, bool | float | str]:
    """Return the options that were given for a merge method, after a look whether it has them."""
    from negmerge.merging import METHODS

    given = dict(options.option)
    find("merge method", options.method, METHODS).check(options.method, given)
    return given


def tell(line: str) -> None:
    """Print a line that the user ought to see, on standard error."""
    print(f"note: {line}", file=sys.stderr)


def command_line(options: argparse.Namespace) -> str:
    """Return the command that runs, as it can be typed again."""
    return shlex.join(["negmerge", *options.words])


def refuse_overwriting(options: argparse.Namespace) -> None:
    """Check that OUT is not there, or may be overwritten."""
    if options.output.exists() and not options.force:
        raise UserError(f"{options.output}: exists already; --force overwrites it")


def print_report(options: argparse.Namespace, report: dict, lines: Iterable[str]) -> None:
    """Print a report as JSON if that was asked for, else as lines for people."""
    for line in [json.dumps(report, indent=2)] if options.json else lines:
        print(line)
