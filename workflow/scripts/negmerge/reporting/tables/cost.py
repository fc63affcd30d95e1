"""Time and memory of merging or training."""

from pathlib import Path

from negmerge.reporting.kinds import MERGES, TableKind
from negmerge.scenarios.base import Metric, read
from negmerge.settings import methods

# The rule whose job makes the model of a method, or its vector, by the kind of the method.
RULES = {"merge": "merge", "greedy": "greedy", "unlearn": "unlearn", "retrain": "train"}


class Cost(TableKind):
    """What Snakemake measured of single jobs."""

    caption = "Time and peak memory of the jobs that merge or train, as Snakemake measured them."
    shows = (*MERGES, "unlearn", "retrain")
    by_rule = False
    metrics = (
        Metric("seconds", "time", "s", "lower", read("seconds")),
        Metric("memory", "peak memory", "MB", "lower", read("memory")),
    )
    about_paper = "The paper's times are for 30 models; on which machine is not known to us."

    def records(self, experiment, folder, row):
        """Return the paths of the benchmark of the job."""
        return [f"benchmarks/{RULES[methods.kind(row)]}/{folder}/{row}.tsv"]

    def read(self, paths):
        """Read what each job `{experiment}/{task}/{method}.tsv` took: seconds, and memory in MB."""
        return [self._read(Path(path)) for path in paths]

    def _read(self, path: Path) -> dict:
        import pandas as pd

        from negmerge.reporting.runtime import read_benchmark

        last = read_benchmark(path).iloc[-1]
        return {
            "experiment": path.parts[-3],
            "task": path.parts[-2],
            "method": path.stem,
            "seconds": float(last["s"]),
            "memory": None if pd.isna(last["max_rss"]) else float(last["max_rss"]),
        }

    def notes(self, table, cells):
        """Describe what is in the costs and what is not."""
        return [
            "time and memory of the whole job that merges or trains, with the start of Python, "
            "reading and writing, but without waiting for a GPU, as Snakemake measured them; of "
            "Greedy Merge also its forward passes, and of a method with a grid all its models and "
            "what measures them. The fine-tuning of the merged models is not in it, nor is the "
            "search of a coefficient.",
        ]


KIND = Cost()
