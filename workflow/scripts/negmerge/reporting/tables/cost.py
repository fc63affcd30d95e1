"""Time and memory of merging or training."""

from pathlib import Path

from negmerge.reporting.kinds import MERGES, TableKind
from negmerge.scenarios.base import Metric, read
from negmerge.settings import methods

# The rule whose job makes the model of a method, or its vector, by the kind of the method.
RULES = {"merge": "merge", "greedy": "greedy", "unlearn": "unlearn", "retrain": "train"}


class Cost(TableKind):
    """What Snakemake measured of single jobs."""

    caption = (
        "Time and peak memory of the whole jobs that merge or train, as Snakemake measured them: "
        "with the start of Python, reading and writing, but without waiting for a GPU. Of Greedy "
        "Merge they hold its forward passes, and of a method with a grid all its models and what "
        "measures them; of no method the fine-tuning of the merged models or the search of a "
        "coefficient."
    )
    shows = (*MERGES, "unlearn", "retrain")
    by_criterion = False
    of_one_vector = True
    metrics = (
        Metric("seconds", "time", "s", "lower", read("seconds")),
        Metric("memory", "peak memory", "MB", "lower", read("memory")),
    )
    about_paper = "The paper's times are for 30 models; on which machine is not known to us."

    def records(self, experiment, folder, row):
        return [f"benchmarks/{RULES[methods.kind(row)]}/{folder}/{row}.tsv"]

    def read(self, paths):
        import pandas as pd

        from negmerge.reporting.runtime import read_benchmark

        records = []
        for path in map(Path, paths):
            last = read_benchmark(path).iloc[-1]
            memory = None if pd.isna(last["max_rss"]) else float(last["max_rss"])
            experiment, task = path.parts[-3:-1]
            labels = {"experiment": experiment, "task": task, "method": path.stem}
            records.append(labels | {"seconds": float(last["s"]), "memory": memory})
        return records


KIND = Cost()
