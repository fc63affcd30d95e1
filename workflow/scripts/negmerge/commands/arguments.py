"""Arguments that several commands take, each described once, and words read as values."""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from negmerge import plugins
from negmerge.errors import UserError, find

STATE = (
    "a safetensors file, a file of torch.save, a GGUF file, an index of shards, a folder with one "
    "of these, or org/name@revision of the hub"
)
METHODS = f"methods: {', '.join(plugins.names(plugins.MERGE_METHODS))}"
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


def finite(text: str, above: float = -math.inf) -> float:
    """Read a number that is neither NaN nor infinite."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not above < number < math.inf:
        what = f"a number above {above:g}" if above > -math.inf else "a finite number"
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return number


positive = partial(finite, above=0)


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


SEVERAL = {"action": "append", "default": []}
FITTING = "tensors whose name fits this regular expression"
# What `add` adds, by name: what stands for the value, what it is for, and how it is read.
ARGUMENTS = {
    "study": ("STUDY", "the name of its file, without .yaml", {}),
    "files": ("FILE", STATE, {"nargs": "+", "type": Path}),
    "--base": (
        "FILE",
        "the checkpoint before fine-tuning; with it, the files are checkpoints, not vectors",
        {"type": Path},
    ),
    "--key": ("KEY", "the state to read, such as ema, where a file of torch.save has several", {}),
    "--option": (
        "NAME=VALUE",
        "an option of the method, a number, word, true or false; repeat it for several",
        SEVERAL | {"type": option},
    ),
    "--include": ("RE", f"take only {FITTING}; repeat it for several", SEVERAL),
    "--exclude": ("RE", f"leave out {FITTING}; repeat it for several", SEVERAL),
    "--vocabulary": (
        None,
        "base: keep the rows of the base where embeddings have more or fewer rows",
        {"choices": ("base",)},
    ),
    "--dtype": (
        None,
        "the type of the output's floating-point numbers; auto, the default, is that of BASE",
        {"choices": ("auto", "float32", "bfloat16", "float16"), "default": "auto"},
    ),
    "--threads": (
        "N",
        "the number of threads; as many as there are processors if none is given; results do "
        "not depend on it",
        {"type": count},
    ),
    "--device": (
        None,
        "the device on which to merge; cpu if none is given",
        {"choices": ("cpu", "cuda"), "default": "cpu"},
    ),
    "--output": ("OUT", "the file or folder to write", {"type": Path, "required": True}),
    "--force": (None, "overwrite what is there", {"action": "store_true"}),
    "--json": (None, "print a report as JSON", {"action": "store_true"}),
}
# Groups of these that commands share.
POOL = ("files", "--base", "--key")
TENSORS = ("--include", "--exclude", "--vocabulary")
OUTPUT = ("--output", "--force", "--json")


def add(command: argparse.ArgumentParser, *names: str) -> None:
    """Add arguments by their names."""
    for name in names:
        metavar, text, reading = ARGUMENTS[name]
        flags = ("-o", name) if name == "--output" else (name,)
        shown = {"metavar": metavar} if metavar else {}
        command.add_argument(*flags, help=text, **shown, **reading)


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


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> Iterator[str]:
    """Yield rows of cells as lines with aligned columns, the first `left` of them to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = enumerate(zip(row, widths, strict=True))
        yield "  ".join(
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in cells
        ).rstrip()
