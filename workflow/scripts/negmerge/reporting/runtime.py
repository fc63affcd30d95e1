"""What a run took, and the software and machine it ran on.

`python -m negmerge.reporting.runtime` prints the latter for an issue.
"""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import distributions, requires
from pathlib import Path

import pandas as pd

from negmerge.errors import UserError
from negmerge.jobs.job import WAITED


def read_benchmark(path: str | Path) -> pd.DataFrame:
    """Read seconds without waiting for a GPU, processor seconds and memory of each run of a job."""
    columns = ["s", "cpu_time", "max_rss"]
    try:
        runs = pd.read_csv(path, sep="\t", na_values=["-"])[columns].astype(float)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a benchmark of Snakemake ({error})") from error
    runs.loc[runs.index[-1:], "s"] -= waited(path)
    return runs


def waited(benchmark: str | Path) -> float:
    """Return the seconds of a benchmark in which the job waited for a GPU, as its log says."""
    return sum(seconds for (seconds,) in logged(benchmark, WAITED))


def logged(benchmark: str | Path, line: str) -> list[tuple[float, ...]]:
    """Return the numbers in each line of a form that the log beside a benchmark has."""
    folder, _, place = str(benchmark).rpartition("/benchmarks/")
    log = Path(folder, "logs", place).with_suffix(".log")
    text = log.read_text(errors="replace") if log.is_file() else ""
    form = re.compile(line.replace("{}", r"(\d+(?:\.\d+)?)"))
    matches = filter(None, map(form.fullmatch, text.splitlines()))
    return [tuple(map(float, match.groups())) for match in matches]


def rule_times(paths: Iterable[str | Path]) -> list[tuple]:
    """Sum Snakemake's benchmark files by rule, the longest first; memory is the largest."""
    runs = []
    for path in map(str, paths):
        rule = path.rpartition("benchmarks/")[2].partition("/")[0].removesuffix(".tsv")
        runs.append(read_benchmark(path).assign(path=path, rule=rule))
    if not runs:
        return []
    sums = {"jobs": ("path", "nunique"), "total_s": ("s", "sum"), "cpu_s": ("cpu_time", "sum")}
    sums["memory_mb"] = ("max_rss", "max")
    rules = pd.concat(runs).groupby("rule", as_index=False).agg(**sums)
    rules["mean_s"] = rules["total_s"] / rules["jobs"]
    rules["memory_mb"] = rules["memory_mb"].astype(object).where(rules["memory_mb"].notna(), None)
    longest_first = rules.sort_values(["total_s", "rule"], ascending=[False, True])
    return list(longest_first.itertuples(index=False))


def software() -> list[tuple[str, str]]:
    # Each look at a distribution's metadata reads its file anew.
    known = [distribution.metadata for distribution in distributions()]
    versions = {metadata["Name"]: metadata["Version"] for metadata in known if metadata["Name"]}
    return sorted(versions.items(), key=lambda item: item[0].lower())


def machine() -> list[tuple[str, str]]:
    """Describe the machine, without names of users, hosts or folders."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    # On Linux, Python does not know the processor's name.
    cpuinfo, processor = Path("/proc/cpuinfo"), platform.machine()
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    if name := re.search(r"^model name\s*: (.+)$", text, re.MULTILINE):
        processor = f"{name[1]} ({processor})"
    # NVIDIA's own tool also sees GPUs that torch does not.
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        gpus = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        gpus = "none"
    return [
        ("Python", platform.python_version()),
        ("System", platform.platform()),
        ("Processor", processor),
        ("Processors", str(os.cpu_count())),
        ("Memory", f"{memory:.1f} GiB"),
        ("GPUs, memory, driver", "; ".join(gpus.splitlines())),
    ]


if __name__ == "__main__":
    named = {re.match(r"[\w.-]+", text)[0].lower() for text in requires("negmerge") or []}
    versions = [pair for pair in software() if pair[0].lower() in named | {"negmerge"}]
    for name, value in [*machine(), *versions]:
        print(f"{name}: {value}")
