"""Forget accuracy, and that of what is kept, where they are to be low and high (zero-shot)."""

from collections.abc import Collection, Mapping

from negmerge.reporting.kinds import TableKind
from negmerge.scenarios import SCENARIOS
from negmerge.scenarios.base import Metric, Number, place_of

LOWEST = Metric(
    "lowest", "tasks in which it is lowest", "", "higher",
    lambda record, _: Number(record.get("lowest")),
    over=lambda records, _: {
        "std": None,
        "value": sum(record["lowest"] for record in records) if len(records) > 1 else None,
    },
    optional=True,
)  # fmt: skip


class Accuracy(TableKind):
    """Scores on test images."""

    caption = (
        "Accuracy of the unlearned models on test images, in percent: on what was to be forgotten, "
        "and on what was to be kept. The choice is the scale of the subtracted vector. A row is "
        "lowest in a task if no other that keeps as much of the base's test accuracy as its choice "
        "had to keep has a lower forget accuracy."
    )
    is_scored = True
    shows_choice = True

    def check(self, experiments, methods):
        for name, experiment in experiments.items():
            scenario = experiment.SCENARIO
            if scenario.aims_at_retrain or not scenario.is_counted:
                raise ValueError(
                    f"{name!r} is of scenario {scenario.name}, which has a kind of table of its own"
                )

    def metrics_of(self, scenario, measured):
        return (*scenario.metrics, *([LOWEST] if LOWEST.name in measured else []))

    def cells(self, table, records, published, outcomes=()):
        scenario = SCENARIOS[table["columns"][0]["scenario"]]
        marked = list(records)
        if scenario.base in table["rows"]:
            marked = with_lowest(marked, scenario.base, scenario.roles[1], table["rows"])
        return super().cells(table, marked, published, outcomes)


def with_lowest(records: list[Mapping], base: str, kept: str, rows: Collection[str]) -> list[dict]:
    """Mark the records with the lowest forget accuracy of their task and criterion."""

    def share(record: Mapping, role: str) -> float:
        return record[role]["correct"] / record[role]["n"]

    def group(record: Mapping) -> tuple:
        return *place_of(record)[:2], record.get("criterion")

    def is_able(record: Mapping) -> bool:
        before = of_base.get(place_of(record)[:2])
        is_row = record["method"] in rows and record["method"] != base and "forget" in record
        return is_row and before is not None and share(record, kept) >= record["keep"] * before

    bases = (record for record in records if record["method"] == base)
    of_base = {place_of(record)[:2]: share(record, kept) for record in bases}
    lowest: dict[tuple, float] = {}
    for record in filter(is_able, records):
        forget = share(record, "forget")
        lowest[group(record)] = min(lowest.get(group(record), forget), forget)
    return [
        {
            **record,
            "lowest": int(is_able(record) and share(record, "forget") <= lowest[group(record)]),
        }
        for record in records
    ]


KIND = Accuracy()
