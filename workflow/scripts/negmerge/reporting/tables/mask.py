"""Scores of merges beside how many numbers they keep, and how many of them shrink the base.

Agreement of signs may have other causes than that models learned the same: chance, or weight decay,
which pulls the weights of all models towards 0. And a merge that keeps few numbers may gain by that
alone. These tables hold the shares that show it.
"""

from collections.abc import Iterable, Mapping

from negmerge.errors import UserError, unknown
from negmerge.reporting.kinds import MERGES, TableKind, require_same_points, scenarios_of
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
    records = list(records)
    counts = {(place_of(one), one.get("rule")): one for one in records if "kept" in one}
    joined, main = [], {}
    for score in records:
        if "kept" not in score:
            place, rule = place_of(score), score.get("rule")
            first = main.setdefault(place, score)
            is_other = score.get("kind") == "single" and score["vector"] != first["vector"]
            if is_other and (place, rule) not in counts:
                raise UserError(
                    f"{'/'.join(place)}: rule {rule} chose {score['vector']!r}, but the numbers of "
                    f"{first['vector']!r} are counted; expected a table of kind mask without rule"
                )
            found = counts.get((place, rule), counts.get((place, None), {}))
            joined.append({**found, **score})
    return joined


class Mask(TableKind):
    """Scores of the scenario beside shares of numbers."""

    caption = (
        "Scores of merged vectors beside how many of their numbers are not zero, and how many of "
        "these pull a weight of the base towards 0, as weight decay does whatever was learned. The "
        "Markdown file beside this one says how often all signs agree, and how often they would by "
        "chance."
    )
    shows = (*MERGES, "single")
    metrics = (
        Metric(
            "kept_trainable", "numbers kept, of the trainable", "%", "", share("kept", "trainable")
        ),
        Metric("shrinking", "of them shrink the base", "%", "", share("shrinking", "kept")),
        Metric(
            "agreement", "one sign in all vectors", "%", "", share("agreeing", "voting"),
            printed=False,
        ),
        Metric(
            "voting", "numbers that are zero in no vector", "", "", read("voting"), printed=False
        ),
    )  # fmt: skip
    is_scored = True
    shows_choice = True

    def check(self, experiments, methods):
        """Check that all rows merge the same vectors, and that a classifier has its reference."""
        require_same_points(experiments, methods)
        for experiment in experiments.values():
            if RETRAIN in experiment.SCENARIO.kinds and RETRAIN not in experiment.methods:
                raise ValueError(unknown("method", RETRAIN, experiment.methods))

    def records(self, experiment, folder, row):
        """Return the paths of scores and counts, and of Retrain's scores for the gap to it."""
        scored = [row, *([RETRAIN] if RETRAIN in experiment.SCENARIO.kinds else [])]
        scores = (f"{folder}/scores/{one}.json" for one in scored)
        return [f"{folder}/sparsity/{{table}}.json", *scores]

    def metrics_of(self, scenario, measured):
        """List the scores of the scenario, and the shares."""
        return (*scenario.metrics, *self.metrics)

    def read(self, paths):
        """Read scores and counts, and put them side by side."""
        return join(super().read(paths))

    def notes(self, table, cells):
        """Describe what the shares are, how much agreement there is, and what chance would give."""
        from negmerge.reporting.notes import choice_notes, error_note

        lines = [
            "numbers kept: those that are not zero, of the trainable ones. Of them shrink the "
            "base: fine-tuning moved these weights towards 0 (vector x base < 0), as weight decay "
            "does in all models, whatever is learned; for random signs it would be half.",
            *_agreement(cells),
        ]
        scenarios = scenarios_of(table)
        if any(scenario.aims_at_retrain for scenario in scenarios):
            lines.append(
                "Scores of a classifier are best where they are closest to Retrain's, which stand "
                "in the headings; average gap: the mean distance to them, in points, of the means "
                "shown."
            )
        for scenario in scenarios:
            lines += [error_note(scenario, cells), *choice_notes(scenario, cells)]
        return list(dict.fromkeys(lines))


def _agreement(cells) -> list[str]:
    """Describe of each column how often all signs agree; all its rows merge the same vectors."""
    from negmerge.reporting.notes import spell_chance

    lines = []
    for label, column in cells[cells["experiment"] == MEAN].groupby("column", sort=False):
        known = column[column["metric"].eq("agreement") & column["value"].notna()]
        if known.empty:
            continue
        found = column[column["row"] == known["row"].iloc[0]].set_index("metric")
        value = found["value"]
        averaged = " (means)" if found["averaged"].iloc[0] > 1 else ""
        models = found["models"].iloc[0].split()
        lines.append(
            f"{label}: of the {value['voting']:,.0f} trainable numbers that are zero in none of "
            f"the {' or '.join(models)} vectors, {value['agreement']:.2f} % have one sign in "
            f"all{averaged}; by chance it would be "
            f"{' or '.join(spell_chance(int(one)) for one in models)}."
        )
    return lines


KIND = Mask()
