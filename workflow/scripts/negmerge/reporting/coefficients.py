"""The cells of a table of kind `sweep`: a row for each coefficient, beside the paper's cells."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from negmerge.reporting.sweeps import read_counts
from negmerge.reporting.tables import cells


def read_points(path: str | Path) -> list[dict]:
    """Read a sweep as records in the form of scores, one for each coefficient.

    Raises:
        UserError: the file is no sweep.
    """
    return [
        {
            "experiment": row["experiment"],
            "task": row["task"],
            "method": row["vector"],
            "vector": row["vector"],
            "coefficient": row["coefficient"],
            **{
                role: {"correct": int(row[f"{role}_correct"]), "n": int(row[f"{role}_n"])}
                for role in ("forget", "control")
            },
        }
        for row in read_counts(path).to_dict("records")
    ]


def sweep_cells(
    table: Mapping, records: Iterable[Mapping], published: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Compute the cells of a sweep: those of `tables.cells`, once for each coefficient and merge.

    A row is named after its coefficient, and after the merge as well if there are several. The
    paper's cell is that of the merge's name, in the column `published.row`, and of the coefficient,
    in the column `coefficient`, which is spelled without zeros at the end. A column whose grid
    lacks a coefficient has no cell there.

    Args:
        table: the definition of the table, as in a study.
        records: from `read_points`, of all sweeps.
        published: the paper's cells by file, from `read_published`.

    Raises:
        UserError: as for `tables.cells`.
    """
    records = list(records)
    frames = []
    for coefficient in sorted({record["coefficient"] for record in records}):
        here = [record for record in records if record["coefficient"] == coefficient]
        spelled = f"{coefficient:.10g}"
        for method, label in table["rows"].items():
            columns = [
                {**column, "published": _at(column["published"], label)}
                for column in table["columns"]
                if any(record["experiment"] in column["experiments"] for record in here)
            ]
            part = cells(table | {"rows": {method: spelled}, "columns": columns}, here, published)
            several = len(table["rows"]) > 1
            frames.append(part.assign(row=f"{spelled}, {label}" if several else spelled))
    if not frames:
        return cells(table, records, published)
    together = pd.concat(frames, ignore_index=True)
    order = {column["label"]: place for place, column in enumerate(table["columns"])}
    return together.sort_values(
        "column", key=lambda labels: labels.map(order), kind="stable", ignore_index=True
    )


def _at(published: Mapping | None, label: str) -> Mapping | None:
    """Look the paper's cells up by coefficient, among those of one merge."""
    if published is None:
        return None
    where = {**published["where"], published["row"]: label}
    return {**published, "where": where, "row": "coefficient"}
