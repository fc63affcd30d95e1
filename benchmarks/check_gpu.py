"""Check how the project works on this machine's GPU, and print a page for an issue.

    python benchmarks/check_gpu.py [--device cpu] [--seconds N] [--study NAME] [--skip PART ...]

`make check-gpu` starts it. The page says what was tested, whether merges have the CPU's bytes, how
far training differs from the CPU's, whether it repeats to the bit, what each network of the paper
reaches in a second and in memory against what plans assume, and how a ten-minute experiment ran. It
is also written to results/check-gpu.md. With `--device cpu` the CPU stands in for the GPU. A part
that fails says so, and the others run; the exit status is then 1.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import gpu_parts
import torch
from gpu_parts import Part
from marks import ROOT

from negmerge.errors import UserError
from negmerge.models.devices import deterministic, find_device

PAGE = Path("results") / "check-gpu.md"


def parts(device: torch.device, seconds: float, study: str) -> dict[str, Callable[[], Part]]:
    """Return what makes each part of the page, by name."""
    return {
        "machine": partial(gpu_parts.where, device),
        "tests": partial(gpu_parts.tests, gpu_parts.TESTS),
        "merges": partial(gpu_parts.merges, device),
        "training": partial(gpu_parts.training, device),
        "repeats": partial(gpu_parts.repeats, device),
        "rates": partial(gpu_parts.rates, device, seconds),
        "loading": gpu_parts.loading,
        "experiment": partial(gpu_parts.experiment, device, study),
    }


def run(wanted: Mapping[str, Callable[[], Part]]) -> Iterator[Part]:
    """Make the parts one after the other; one that fails says so."""
    for name, make in wanted.items():
        print(f"check-gpu: {name}", file=sys.stderr)
        try:
            yield make()
        # Whatever a foreign machine does, the other parts are worth having.
        except Exception as error:
            yield Part(name, [f"**failed**: {type(error).__name__}: {error}"], False)


def page(made: Sequence[Part]) -> str:
    """Write the page."""
    lines = ["# check-gpu", ""]
    for part in made:
        lines += [f"## {part.title}{'' if part.passed else ': not as it should be'}", ""]
        lines += [*part.lines, ""]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Check, write the page and print it."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--device", default="cuda", choices=("cpu", "cuda"))
    words.add_argument("--seconds", type=float, default=10.0, help="for each network and way")
    words.add_argument("--study", default="check-gpu", help="the experiment")
    words.add_argument("--skip", nargs="*", default=[], metavar="PART", help="parts to leave out")
    options = words.parse_args(arguments)
    os.chdir(ROOT)
    try:
        device = find_device(options.device)
    except UserError as error:
        sys.exit(f"error: {error}")
    deterministic(device)
    wanted = parts(device, options.seconds, options.study)
    PAGE.parent.mkdir(exist_ok=True)
    made = list(run({name: make for name, make in wanted.items() if name not in options.skip}))
    PAGE.write_text(page(made))
    print(page(made))
    sys.exit(not all(part.passed for part in made))


if __name__ == "__main__":
    main()
