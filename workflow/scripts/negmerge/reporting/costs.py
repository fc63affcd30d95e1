"""What single jobs took, as records of tables."""

from pathlib import Path

import pandas as pd

from negmerge.errors import UserError


def read_benchmark(path: str | Path) -> pd.DataFrame:
    """Read seconds, processor seconds and memory; Snakemake writes `-` or NA for short jobs.

    Raises:
        UserError: the file is no benchmark of Snakemake.
    """
    try:
        return pd.read_csv(path, sep="\t", na_values=["-"])[["s", "cpu_time", "max_rss"]].astype(
            float
        )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: not a benchmark of Snakemake ({error})") from error


def read_cost(path: str | Path) -> dict[str, str | float | None]:
    """Read what the job of `{experiment}/{task}/{method}.tsv` took: seconds, and memory in MB."""
    *_, experiment, task, _ = Path(path).parts
    found = read_benchmark(path).iloc[-1]
    return {
        "experiment": experiment,
        "task": task,
        "method": Path(path).stem,
        "seconds": float(found["s"]),
        "memory": None if pd.isna(found["max_rss"]) else float(found["max_rss"]),
    }
