"""What a method costs: trained models, items, time, memory and passes of its search."""

from pathlib import Path
from statistics import fmean

from negmerge.reporting.kinds import MERGES, TableKind
from negmerge.reporting.records import read_records
from negmerge.scenarios.base import Metric, Number
from negmerge.settings import methods

# The rule whose job makes the model of a method, or its vector, by the kind of the method.
RULES = {"merge": "merge", "greedy": "greedy", "unlearn": "unlearn", "retrain": "train"}
FINETUNE = "finetune"


def known(key: str):
    """Return a metric's function that reads a number which some rows do not have."""
    return lambda record, _: Number(record.get(key))


class Cost(TableKind):
    """What Snakemake measured of single jobs, and what searches counted."""

    caption = (
        "Time and peak memory of the whole jobs that merge or train, as Snakemake measured them: "
        "with the start of Python, reading and writing, but without waiting for a GPU. Of Greedy "
        "Merge they hold its forward passes, and of a method with a grid all its models and what "
        "measures them. Training of a pool, and the items that went through it: the models that a "
        "row takes times the mean of one. Merge: the seconds in which the vectors are read, merged "
        "and written, and those of the computing alone, once the vectors are in memory. Passes of "
        "the search: the validation items that went through a network to choose a coefficient, "
        "beside those of a search without pruning."
    )
    shows = (*MERGES, "single", "unlearn", "retrain")
    by_criterion = False
    metrics = (
        Metric("models", "models trained", "", "lower", known("trained"), optional=True),
        Metric("seen", "items seen in training", "", "lower", known("seen"), optional=True),
        Metric("training", "training of the pool", "s", "lower", known("training"), optional=True),
        Metric("seconds", "time", "s", "lower", known("seconds")),
        Metric("merge", "merge", "s", "lower", known("merge"), optional=True),
        Metric("computing", "merge without files", "s", "lower", known("computing"), optional=True),
        Metric("memory", "peak memory", "MB", "lower", known("memory")),
        Metric("passes", "passes of the search", "", "lower", known("passes"), optional=True),
        Metric("passes_full", "without pruning", "", "lower", known("passes_full"), optional=True),
    )
    about_paper = "The paper's times are for 30 models; on which machine is not known to us."

    def records(self, experiment, folder, row):
        kind = methods.kind(row)
        paths = [f"benchmarks/{RULES[kind]}/{folder}/{row}.tsv"] if kind in RULES else []
        if kind in methods.CHOSEN and not experiment.pool.files:
            paths += [f"benchmarks/{FINETUNE}/{folder}/{x}.tsv" for x in experiment.points(row)]
        if experiment.is_searched(row):
            paths.append(f"{folder}/selected/{row}.json")
        return paths

    def read(self, paths):
        import pandas as pd

        from negmerge.log_lines import MERGED, SEEN
        from negmerge.reporting.runtime import logged, read_benchmark

        records, trainings = {}, {}
        for path in map(Path, paths):
            if path.suffix == ".json":
                choice = read_records(path)[0]
                place = choice["experiment"], choice["task"], choice["method"]
                trains = choice["kind"] == "unlearn"
                numbers = {"trained": choice["tried"] if trains else choice["models"]}
                numbers |= {key: choice.get(key) for key in ("passes", "passes_full")}
            else:
                last = read_benchmark(path).iloc[-1]
                seen = sum(items for (items,) in logged(path, SEEN)) or None
                place = *path.parts[-3:-1], path.stem
                if path.parts[-4] == FINETUNE:
                    trainings.setdefault(place[:2], []).append((float(last["s"]), seen))
                    continue
                memory = None if pd.isna(last["max_rss"]) else float(last["max_rss"])
                numbers = {"seconds": float(last["s"]), "memory": memory}
                if path.parts[-4] in ("train", "unlearn"):
                    numbers = {"trained": 1, "seen": seen} | numbers
                for merge, computing in logged(path, MERGED)[-1:]:
                    numbers |= {"merge": merge, "computing": computing}
            labels = dict(zip(("experiment", "task", "method"), place, strict=True))
            records.setdefault(place, labels).update(numbers)
        for (*folder, method), record in records.items():
            of_pool = trainings.get(tuple(folder))
            if of_pool and "trained" in record and methods.kind(method) in methods.CHOSEN:
                seconds, items = zip(*of_pool, strict=True)
                record["training"] = record["trained"] * fmean(seconds)
                if None not in items:
                    record["seen"] = record["trained"] * fmean(items)
        return list(records.values())


KIND = Cost()
