"""Print what decides how the workflow runs on a machine, for an issue."""

import argparse
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping

from negmerge.commands import arguments

SUMMARY = "describe this machine and its software for an issue, without names of users or hosts"
EPILOG = "example:\n  negmerge report-machine"

GIB = 2**30
# Packages whose versions decide how the workflow runs, beside those that jobs record.
RUNNERS = ("snakemake", "snakemake-executor-plugin-slurm")
# Programs that the workflow may call, and what makes each of them tell its version.
PROGRAMS = {
    "conda": "--version",
    "mamba": "--version",
    "apptainer": "--version",
    "docker": "--version",
    "sbatch": "--version",
    "git": "--version",
}
# What NVIDIA's own tool sees, also where torch sees no GPU.
DRIVER = ("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how the machine is printed."""
    arguments.add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Describe the machine."""
    report = {
        "machine": hardware(),
        "gpus": gpus(),
        "python": platform.python_version(),
        "packages": packages(),
        "programs": programs(),
    }
    arguments.print_report(options, report, _lines(report))


def hardware() -> dict[str, str | int | float | None]:
    """Return the system, and what it computes with; memory in GiB, None where it is not known."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "system": platform.system(),
        "release": platform.release(),
        "c_library": " ".join(platform.libc_ver()).strip() or None,
        "architecture": platform.machine(),
        "processor": _processor(),
        "cores": cores,
        "memory_gib": _memory(),
    }


def gpus() -> dict[str, object]:
    """Return the GPUs that torch sees, and what NVIDIA's tool says of them, None without it."""
    import torch

    found = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return {
        "of_torch": [f"{one.name}, {one.total_memory / GIB:.0f} GiB" for one in found],
        "cuda_of_torch": torch.version.cuda,
        "of_driver": _answer(*DRIVER),
    }


def packages() -> dict[str, str]:
    """Return the versions of the packages that studies use, as far as they are installed."""
    from negmerge import __version__
    from negmerge.jobs.versions import PACKAGES, version

    found = {name: version(name) for name in (*PACKAGES.values(), *RUNNERS)}
    there = {name: one for name, one in sorted(found.items()) if one is not None}
    return {"negmerge": __version__} | there


def programs() -> dict[str, str | None]:
    """Return what programs say of their version, None where there is no such program."""
    return {name: _answer(name, flag) for name, flag in PROGRAMS.items()}


def _processor() -> str | None:
    """Return the name of the processor."""
    try:
        with open("/proc/cpuinfo") as file:
            found = re.search(r"^model name\s*: (.+)$", file.read(), re.M)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or None


def _memory() -> float | None:
    """Return the size of the memory in GiB."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1)
    except (AttributeError, ValueError):
        return None


def _answer(program: str, *words: str) -> str | None:
    """Run a program; return its first lines, or None if it is not there or fails."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run([path, *words], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return "; ".join(done.stdout.split("\n")[:8]).strip("; ") if done.returncode == 0 else None


def _lines(report: Mapping[str, object]) -> Iterator[str]:
    """Yield the description for people: a line for each fact."""
    for name, value in report.items():
        facts = value if isinstance(value, Mapping) else {"": value}
        for fact, found in facts.items():
            text = "; ".join(found) if isinstance(found, list) else found
            yield f"{f'{name} {fact}'.strip()}: {'none' if text in (None, '') else text}"
