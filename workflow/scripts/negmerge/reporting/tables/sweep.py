"""Forget and control accuracy at each coefficient (zero-shot)."""

import math
from collections.abc import Mapping

from negmerge.checkpoints.divergence import DIVERGED
from negmerge.reporting.kinds import MERGES, TableKind
from negmerge.scenarios.zero_shot.scenario import ACCURACIES


class Sweep(TableKind):
    """Measures on validation images: a row for each coefficient, and merge."""

    caption = (
        "Accuracy on validation images, in percent, when the merged vector times the coefficient "
        "of the row is subtracted from the base. A coefficient is chosen among these; scores are "
        "measured on other images."
    )
    scenarios = ("zero-shot",)
    shows = MERGES
    by_criterion = False
    of_one_vector = True
    is_scored = True
    metrics = ACCURACIES

    def check(self, experiments, methods):
        first = next(iter(experiments.values()))
        for name, experiment in experiments.items():
            if experiment.coefficients.values != first.coefficients.values:
                raise ValueError(f"{name!r} has other coefficients than those before it")

    def records(self, experiment, folder, row):
        return [f"{folder}/sweeps/{row}.csv"]

    def read(self, paths):
        """Read sweeps as records in the form of scores, one for each coefficient."""
        from negmerge.reporting.sweeps import read_counts

        return [
            {
                "experiment": row["experiment"],
                "task": row["task"],
                "method": row["vector"],
                "coefficient": row["coefficient"],
                **_measured(row),
            }
            for path in paths
            for row in read_counts(path).to_dict("records")
        ]

    def cells(self, table, records, published, outcomes=()):
        """Compute cells as those of a table for each coefficient and merge.

        A row is named after its coefficient, and after the merge as well if there are several. A
        column whose grid lacks a coefficient has no cell there.
        """
        import pandas as pd

        records, frames = list(records), []
        for coefficient in sorted({record["coefficient"] for record in records}):
            here = [record for record in records if record["coefficient"] == coefficient]
            present = {record["experiment"] for record in here}
            spelled = f"{coefficient:.10g}"
            for method, label in table["rows"].items():
                columns = [
                    {**column, "published": _at(column["published"], label)}
                    for column in table["columns"]
                    if present & set(column["experiments"])
                ]
                of_row = table | {"rows": {method: spelled}, "columns": columns}
                row = f"{spelled}, {label}" if len(table["rows"]) > 1 else spelled
                frames.append(super().cells(of_row, here, published).assign(row=row))
        if not frames:
            return super().cells(table, records, published)
        order = {column["label"]: place for place, column in enumerate(table["columns"])}
        return pd.concat(frames, ignore_index=True).sort_values(
            "column", key=lambda labels: labels.map(order), kind="stable", ignore_index=True
        )


def _measured(row: Mapping) -> dict:
    """Return the counts of a vector, if it did not diverge, and the points that it lacks."""
    missing = {DIVERGED: row[DIVERGED].split()}
    if math.isnan(row["forget_n"]):
        return {"vector": None} | missing
    roles = ("forget", "control")
    counts = {r: {"correct": int(row[f"{r}_correct"]), "n": int(row[f"{r}_n"])} for r in roles}
    return {"vector": row["vector"]} | missing | counts


def _at(published: Mapping | None, label: str) -> Mapping | None:
    """Look the paper's cells up by coefficient, among those of one merge."""
    if published is None:
        return None
    where = {**published["where"], published["row"]: label}
    return {**published, "where": where, "row": "coefficient"}


KIND = Sweep()
