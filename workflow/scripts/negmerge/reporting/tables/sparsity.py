"""Zeros of merged vectors."""

from negmerge.reporting.kinds import MERGES, TableKind
from negmerge.reporting.records import MEAN
from negmerge.scenarios.base import Metric, Number, read


def zeros(whole):
    """Return a metric's function that reads the share of zeros, in percent of `whole`."""
    return lambda record, _: Number(100 * (1 - record["kept"] / record[whole]))


# Of a pool that was given: its files may have tensors of which the workflow makes no vector.
OF_FILES = Metric(
    "zeros_files", "zeros in all tensors of the files", "%", "",
    lambda record, _: Number(
        100 * (1 - record["kept"] / (record["state"] + record["untouched_numbers"]))
    ),
)  # fmt: skip


class Sparsity(TableKind):
    """Counts of numbers, which depend on no coefficient."""

    caption = (
        "How many numbers of a merged vector are zero, in percent of the weights that fine-tuning "
        "may change and of all numbers of the image encoder. Numbers kept are those that are not "
        "zero."
    )
    shows = MERGES
    by_criterion = False
    metrics = (
        Metric("zeros_trainable", "zeros among the trainable weights", "%", "", zeros("trainable")),
        Metric("zeros_state", "zeros in the whole image encoder", "%", "", zeros("state")),
        Metric("kept", "numbers kept", "", "", read("kept")),
    )

    def cells(self, table, records, published, outcomes=()):
        wholes = {
            experiment: column["whole"]
            for column in table["columns"]
            if column.get("whole")
            for experiment in column["experiments"]
        }
        counted = [
            record | {"untouched_numbers": wholes[record["experiment"]] - record["state"]}
            if record["experiment"] in wholes
            else record
            for record in records
        ]
        return super().cells(table, counted, published, outcomes)

    def records(self, experiment, folder, row):
        return [f"{folder}/sparsity/{{table}}.json"]

    def metrics_of(self, scenario, measured):
        has_more = {"untouched_numbers", OF_FILES.name} & set(measured)
        return (*self.metrics, OF_FILES) if has_more else self.metrics

    def notes(self, table, cells):
        single = cells[(cells["experiment"] != MEAN) & cells["value"].notna()]
        lines = [
            f"{first['experiment']}: {int(first['models'])} models are merged; "
            f"{int(first['trainable']):,} trainable weights of {int(first['state']):,} numbers."
            for first in single.drop_duplicates("experiment").to_dict("records")
        ]
        if OF_FILES.name in set(cells["metric"]):
            lines.append(
                "The files of such pools also hold tensors of the text part, which are the base's "
                "in each model: zeros in all tensors count them too, as the authors' code does."
            )
        return lines


KIND = Sparsity()
