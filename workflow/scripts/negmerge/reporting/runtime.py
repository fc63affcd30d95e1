"""What a run took, and the software and machine it ran on."""

import os
import platform
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

import pandas as pd

from negmerge.errors import UserError

FOLDER = "benchmarks"


@dataclass(frozen=True)
class RuleTime:
    """What the jobs of a rule took.

    Attributes:
        rule: its name.
        jobs: how many there were.
        total_s, mean_s: wall-clock time in seconds.
        cpu_s: time of all processors in seconds, summed over the jobs.
        memory_mb: largest resident memory of a job in MB; None where all were too short.
    """

    rule: str
    jobs: int
    total_s: float
    mean_s: float
    cpu_s: float
    memory_mb: float | None


def read_benchmark(path: str | Path) -> pd.DataFrame:
    """Read seconds, processor seconds and memory; Snakemake writes `-` or NA for short jobs.

    Raises:
        UserError: the file is no benchmark of Snakemake.
    """
    columns = ["s", "cpu_time", "max_rss"]
    try:
        return pd.read_csv(path, sep="\t", na_values=["-"])[columns].astype(float)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a benchmark of Snakemake ({error})") from error


def rule_times(paths: Iterable[str | Path]) -> list[RuleTime]:
    """Sum Snakemake's benchmark files by rule, the longest first.

    The rule is the folder (or file) after the last `benchmarks` of a path.

    Raises:
        UserError: a path without such a folder, or a file that is no benchmark.
    """
    by_rule = defaultdict(list)
    for path in map(Path, paths):
        by_rule[_rule(path)].append(read_benchmark(path))
    times = []
    for rule, runs in by_rule.items():
        frame = pd.concat(runs, ignore_index=True)
        total, memory = frame["s"].sum(), frame["max_rss"].max()
        times.append(
            RuleTime(
                rule, len(runs), float(total), float(total / len(runs)),
                float(frame["cpu_time"].sum()), None if pd.isna(memory) else float(memory),
            )
        )  # fmt: skip
    return sorted(times, key=lambda time: (-time.total_s, time.rule))


def _rule(path: Path) -> str:
    parts = path.with_suffix("").parts
    if FOLDER not in parts[:-1]:
        raise UserError(f"{path}: no folder `{FOLDER}` in the path, so its rule is not known")
    return parts[len(parts) - parts[::-1].index(FOLDER)]


def software() -> list[tuple[str, str]]:
    """List the installed distributions and their versions, by name."""
    found = {d.metadata["Name"]: d.version for d in distributions() if d.metadata["Name"]}
    return sorted(found.items(), key=lambda item: item[0].lower())


def machine() -> list[tuple[str, str]]:
    """Describe the machine: system, processor, Python, and memory in GiB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        ("Python", platform.python_version()),
        ("System", platform.platform()),
        ("Processor", _processor()),
        ("Processors", str(os.cpu_count())),
        ("Memory", f"{memory:.1f} GiB"),
    ]


def _processor() -> str:
    """Name the processor; Linux tells more about it than Python does."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()} ({platform.machine()})"
    except OSError:
        pass
    return platform.machine()
