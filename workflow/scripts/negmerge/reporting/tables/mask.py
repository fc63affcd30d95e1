"""Scores of merges beside how many numbers they keep, and how many of them shrink the base.

Agreement of signs may have other causes than that models learned the same: chance, or weight decay,
which pulls the weights of all models towards 0. And a merge that keeps few numbers may gain by that
alone. These tables hold the shares that show it.
"""

from collections.abc import Iterable, Mapping

from negmerge.errors import UserError, unknown
from negmerge.reporting.kinds import MERGES, TableKind, require_same_points
from negmerge.reporting.records import MEAN
from negmerge.scenarios.base import Metric, Number, place_of, read
from negmerge.settings.methods import RETRAIN


def share(part: str, whole: str):
    """Return a metric's function that reads a share in percent; that of nothing is missing."""

    def of(record, _) -> Number:
        return Number(100 * record[part] / record[whole] if record[whole] else None)

    return of


def join(records: Iterable[Mapping]) -> list[dict]:
    """Put the counts of each vector beside the scores of the models that it was subtracted from."""
    counts, scores, joined, main = {}, [], [], {}
    for record in records:
        if "kept" in record:
            counts[place_of(record), record.get("criterion")] = record
        else:
            scores.append(record)
    for score in scores:
        place, criterion = place_of(score), score.get("criterion")
        first = main.setdefault(place, score)
        is_other = score.get("kind") == "single" and score["vector"] != first["vector"]
        if is_other and (place, criterion) not in counts:
            raise UserError(
                f"{'/'.join(place)}: criterion {criterion} chose {score['vector']!r}, but the "
                f"numbers of {first['vector']!r} are counted; expected a table of kind mask "
                "without `criterion`"
            )
        counted = counts.get((place, criterion), counts.get((place, None), {}))
        joined.append({**counted, **score})
    return joined


class Mask(TableKind):
    """Scores of the scenario beside shares of numbers."""

    caption = (
        "Scores of merged vectors beside how many of their trainable numbers are not zero, and how "
        "many of these shrink the base: fine-tuning moved the weights towards 0 (vector x base < "
        "0), as weight decay does in all models, whatever is learned; for random signs it would be "
        "half."
    )
    shows = (*MERGES, "single")
    metrics = (
        Metric(
            "kept_trainable", "numbers kept, of the trainable", "%", "", share("kept", "trainable")
        ),
        Metric("shrinking", "of them shrink the base", "%", "", share("shrinking", "kept")),
        Metric(
            "agreement", "one sign in all vectors", "%", "", share("agreeing", "nonzero_in_all"),
            printed=False,
        ),
        Metric(
            "nonzero_in_all", "numbers that are zero in no vector", "", "",
            read("nonzero_in_all"), printed=False,
        ),
    )  # fmt: skip
    is_scored = True
    shows_choice = True

    def check(self, experiments, methods):
        """Check that all rows merge the same vectors, and that there is a reference if needed."""
        require_same_points(experiments, methods)
        for experiment in experiments.values():
            if experiment.SCENARIO.aims_at_retrain and RETRAIN not in experiment.methods:
                raise ValueError(unknown("method", RETRAIN, experiment.methods))

    def records(self, experiment, folder, row):
        scored = [row, *([RETRAIN] if RETRAIN in experiment.methods else [])]
        scores = (f"{folder}/scores/{method}.json" for method in scored)
        return [f"{folder}/sparsity/{{table}}.json", *scores]

    def metrics_of(self, scenario, measured):
        return (*scenario.metrics, *self.metrics)

    def read(self, paths):
        return join(super().read(paths))

    def notes(self, table, cells):
        from negmerge.reporting.notes import spell_chance

        lines = []
        means = cells[(cells["experiment"] == MEAN) & cells["value"].notna()]
        # All rows of a column merge the same vectors.
        agreement = means[means["metric"] == "agreement"].drop_duplicates("column")
        for first in agreement.to_dict("records"):
            is_same = means["column"].eq(first["column"]) & means["row"].eq(first["row"])
            value = means[is_same].set_index("metric")["value"]
            averaged = " (means)" if first["averaged"] > 1 else ""
            models = first["models"].split()
            lines.append(
                f"{first['column']}: of the {value['nonzero_in_all']:,.0f} trainable numbers "
                f"that are zero in none of the {' or '.join(models)} vectors, "
                f"{first['value']:.2f} % have one sign in all{averaged}; by chance it would be "
                f"{' or '.join(spell_chance(int(count)) for count in models)}."
            )
        return lines


KIND = Mask()
