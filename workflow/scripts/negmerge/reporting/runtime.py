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

FOLDER = "benchmarks"


def read_benchmark(path: str | Path) -> pd.DataFrame:
    """Read seconds without waiting for a GPU, processor seconds and memory of each run of a job.

    Snakemake writes `-` or NA for short jobs. A log tells of the last run.
    """
    columns = ["s", "cpu_time", "max_rss"]
    try:
        found = pd.read_csv(path, sep="\t", na_values=["-"])[columns].astype(float)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a benchmark of Snakemake ({error})") from error
    found.loc[found.index[-1:], "s"] -= waited(path)
    return found


def waited(benchmark: str | Path) -> float:
    """Return the seconds of a benchmark in which the job waited for a GPU, as its log says."""
    folder, _, place = str(benchmark).rpartition("/benchmarks/")
    log = Path(folder, "logs", place).with_suffix(".log")
    text = log.read_text(errors="replace") if log.is_file() else ""
    line = "^" + WAITED.format(r"(\d+\.\d)") + "$"
    return sum(map(float, re.findall(line, text, re.MULTILINE)))


def rule_times(paths: Iterable[str | Path]) -> list[tuple]:
    """Sum Snakemake's benchmark files by rule, the longest first.

    The rule is the folder (or file) after the last `benchmarks` of a path. The memory (`memory_mb`)
    is the largest of a job, None where all were too short; times are in seconds.
    """
    rules = {str(path): _rule(Path(path)) for path in paths}
    runs = [read_benchmark(path).assign(path=path, rule=rule) for path, rule in rules.items()]
    if not runs:
        return []
    found = (
        pd.concat(runs)
        .groupby("rule", as_index=False)
        .agg(
            jobs=("path", "nunique"),
            total_s=("s", "sum"),
            cpu_s=("cpu_time", "sum"),
            memory_mb=("max_rss", "max"),
        )
    )
    found["mean_s"] = found["total_s"] / found["jobs"]
    found["memory_mb"] = found["memory_mb"].astype(object).where(found["memory_mb"].notna(), None)
    longest_first = found.sort_values(["total_s", "rule"], ascending=[False, True])
    return list(longest_first.itertuples(index=False))


def _rule(path: Path) -> str:
    parts = path.with_suffix("").parts
    if FOLDER not in parts[:-1]:
        raise UserError(f"{path}: no folder `{FOLDER}` in the path, so its rule is not known")
    return parts[len(parts) - parts[::-1].index(FOLDER)]


def software() -> list[tuple[str, str]]:
    """List the installed distributions and their versions, by name."""
    # Each look at a distribution's metadata reads its file anew.
    known = [one.metadata for one in distributions()]
    found = {one["Name"]: one["Version"] for one in known if one["Name"]}
    return sorted(found.items(), key=lambda item: item[0].lower())


def machine() -> list[tuple[str, str]]:
    """Describe the machine, without names of users, hosts or folders."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        ("Python", platform.python_version()),
        ("System", platform.platform()),
        ("Processor", _processor()),
        ("Processors", str(os.cpu_count())),
        ("Memory", f"{memory:.1f} GiB"),
        ("GPUs, memory, driver", _gpus()),
    ]


def _processor() -> str:
    """Name the processor; Linux knows more about it than Python does."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.partition(':')[2].strip()} ({platform.machine()})"
    except OSError:
        pass
    return platform.machine()


def _gpus() -> str:
    """List what NVIDIA's own tool sees, also where torch sees no GPU."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "none"
    return "; ".join(listed.stdout.splitlines())


def main() -> None:
    """Print the machine, and the versions of the packages that negmerge names, for an issue."""
    named = {re.match(r"[\w.-]+", text)[0].lower() for text in requires("negmerge") or []}
    versions = [one for one in software() if one[0].lower() in named | {"negmerge"}]
    for what, found in [*machine(), *versions]:
        print(f"{what}: {found}")


if __name__ == "__main__":
    main()
