"""Whether forgetting lasts: scores as they are, of rounded weights, and after relearning."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from negmerge.checkpoints.divergence import DIVERGED
from negmerge.reporting.kinds import TableKind, scenarios_of
from negmerge.reporting.records import MEAN, read_records
from negmerge.scenarios.base import Metric, Number, Scenario, place_of, read
from negmerge.settings.methods import RETRAIN
from negmerge.settings.recipe import AS_IS, RELEARNED, ROUNDINGS

if TYPE_CHECKING:
    from negmerge.settings.experiment import Experiment

LABELS = {AS_IS: "as it is", **{form: form for form in ROUNDINGS}, RELEARNED: "relearned"}
# Where a record has its single items; those of Retrain, treated alike, begin with `NEVER`.
ITEMS, NEVER = "items", "never_"
BEFORE, AFTER = f"forget_{AS_IS}", f"forget_{RELEARNED}"
# Whether teaching the model again diverged; it has then no scores of it.
HAS_DIVERGED = f"{DIVERGED}_{RELEARNED}"


def score(key: str) -> Callable[[Mapping, Mapping | None], Number]:
    """Return a metric's function that averages the scores of single items, in percent.

    Missing where the treatment diverged.

    Their variance is (mean of squares - square of the mean) / n, which for right and wrong answers
    is the binomial one.
    """

    def of(record: Mapping, _: Mapping | None) -> Number:
        if record[key] is None:
            return Number(None)
        found = record[ITEMS][key]
        # The treated models have the same items.
        count = len(found) if key.endswith(AS_IS) else None
        return Number(100 * float(found.mean()), 1e4 * float(found.var()) / len(found), count)

    return of


def ratio(name: str, *keys: str) -> Callable[[Mapping, Mapping | None], Number]:
    """Return a metric's function that computes a ratio of mean scores, in percent.

    Its variance is that of items drawn anew, for all models alike; missing where the ratio is not
    defined for each draw.
    """

    def of(record: Mapping, _: Mapping | None) -> Number:
        import numpy as np

        from negmerge.evaluation import durability
        from negmerge.evaluation.uncertainty import bootstrap_means

        compute, found = getattr(durability, name), record[ITEMS]
        if any(key not in found for key in keys):
            return Number(None)
        items = np.stack([found[key] for key in keys], axis=1)
        value = 100 * float(compute(*items.mean(axis=0)))
        drawn = 100 * compute(*bootstrap_means(items, np.random.default_rng(0)).T)
        if math.isnan(value):
            return Number(None)
        return Number(value, None if np.isnan(drawn).any() else float(drawn.var(ddof=1)))

    return of


def scores(role: str, measured: set[str]) -> list[Metric]:
    """List the scores of a role under the treatments that there were."""
    return [
        Metric(
            f"{role}_{treatment}", f"{role}, {label}", "%", "", score(f"{role}_{treatment}"),
            spell=lambda value: DIVERGED if value is None else f"{value:.2f}",
        )
        for treatment, label in LABELS.items()
        if f"{role}_{treatment}" in measured
    ]  # fmt: skip


def rounding_ratios(form: str) -> list[Metric]:
    """List the ratio of a form of rounding that is printed, and others for the CSV file."""
    after = f"forget_{form}"
    return [
        Metric(
            f"lasting_{form}", f"lasting, {form}", "%", "higher",
            ratio("rounding_ratio", BEFORE, after),
        ),
        Metric(
            f"inverse_{form}", f"inverse ratio, {form}", "%", "",
            ratio("rounding_ratio", after, BEFORE), printed=False,
        ),
        Metric(
            f"likeness_{form}", f"likeness, {form}", "%", "",
            ratio("likeness", BEFORE, after), printed=False,
        ),
    ]  # fmt: skip


def relearning_ratios() -> list[Metric]:
    """List likewise the ratio of relearning."""
    own = (BEFORE, AFTER)
    keys = (*own, *(NEVER + key for key in own))
    return [
        Metric(
            f"lasting_{RELEARNED}", f"lasting, {LABELS[RELEARNED]}", "%", "higher",
            ratio("relearning_ratio", *keys),
        ),
        Metric(
            f"likeness_{RELEARNED}", f"likeness, {LABELS[RELEARNED]}", "%", "",
            ratio("likeness_of_gains", *keys), printed=False,
        ),
    ]  # fmt: skip


RELEARNING = Metric(
    HAS_DIVERGED, "relearnings that diverged", "", "",
    lambda record, _: Number(float(record[AFTER] is None)), printed=False,
)  # fmt: skip
# What was done to the models, for the notes and the CSV file.
DONE = tuple(
    Metric(name, label, "", "", read(name), printed=False)
    for name, label in (
        ("rounded", "numbers that are rounded"),
        ("numbers", "numbers of the model"),
        ("group_size", "numbers of a group"),
        ("epochs", "epochs of relearning"),
        ("learning_rate", "rate of relearning"),
    )
)


def metrics_of(scenario: Scenario, measured: Collection[str]) -> tuple[Metric, ...]:
    """List scores and ratios of what there is; that of relearning only where there is a Retrain."""
    names = set(measured)
    kept = scenario.roles[1]
    forms = [form for form in ROUNDINGS if f"forget_{form}" in names]
    has_gains = {f"lasting_{RELEARNED}", AFTER} <= names
    return (
        *scores("forget", names),
        *scores(kept, names),
        *(metric for form in forms for metric in rounding_ratios(form)),
        *(relearning_ratios() if has_gains else ()),
        *((RELEARNING,) if AFTER in names else ()),
        *DONE,
    )


class Durability(TableKind):
    """Scores on what was to be forgotten and to be kept, before and after each treatment."""

    caption = (
        "Whether what a model forgot stays forgotten. As it is: the unlearned model. int8, int4, "
        "nf4: the weights of its layers are rounded to so many bits. relearned: it is taught again "
        "what it forgot, for a moment. Lasting: how much of the score on the forget set after a "
        "treatment was there before it; of relearning, how fast the model learns beside Retrain, "
        "which never knew these items. 100 % is best. The Markdown file beside this one explains "
        "the ratios."
    )
    items = "items"
    shows_choice = True

    def check(self, experiments, methods):
        """Check that the experiments treat their models, and all of them alike."""
        require_treatment(experiments)

    def records(self, experiment, folder, row):
        """Return the paths of the row's scores and single items, and of Retrain's."""
        names = {row: None, **({RETRAIN: None} if RETRAIN in experiment.methods else {})}
        return [
            f"{folder}/durability/{name}.{kind}"
            for name in names
            for kind in ("json", "safetensors")
        ]

    def read(self, paths):
        """Read scores, and put the single items behind them, and those of Retrain, into them."""
        from negmerge.evaluation.outcomes import read_outcomes

        paths = [str(path) for path in paths]
        found = [one for path in paths if path.endswith("json") for one in read_records(path)]
        items = [one for path in paths if not path.endswith("json") for one in read_outcomes(path)]
        own = {(one.place, one.rule): one.arrays for one in items}
        retrain = {one.place[:2]: one.arrays for one in items if one.place[2] == RETRAIN}
        for record in found:
            place = place_of(record)
            never = retrain.get(place[:2], {})
            record[ITEMS] = own[place, record["rule"]] | {
                NEVER + key: array for key, array in never.items()
            }
            record |= {f"lasting_{RELEARNED}": None} if never else {}
        return found

    def metrics_of(self, scenario, measured):
        """List the scores, and the ratios; that of relearning where there is a Retrain."""
        return metrics_of(scenario, measured)

    def notes(self, table, cells):
        """Describe the treatments, the ratios and what is not told apart."""
        from negmerge.reporting.notes import choice_notes, spell_list

        single = cells[cells["experiment"] != MEAN]
        gone = single[(single["metric"] == HAS_DIVERGED) & (single["value"] == 1)]
        names = set(cells["metric"])
        return [
            *_treatments(names),
            *_facts(cells, names),
            *_ratios(names),
            *(
                f"{experiment}/{task}: diverged when taught again, so there are no scores of it: "
                f"{spell_list(rows.to_list())}. A lower rate in `durability.relearn` may do."
                for (experiment, task), rows in gone.groupby(["experiment", "task"])["row"]
            ),
            "±: standard error from the finite numbers of items, in percentage points; of a ratio, "
            "its standard deviation when the items are drawn anew, for all models alike. A ratio "
            "without ± is not defined for each draw: what it divides by is not told apart from 0. "
            "The chance in relearning, and in the training behind each model, is not in it.",
            "A ratio says nothing of a model that forgot nothing, such as the base, and little of "
            "one that treatments damage: read it beside the scores.",
            "Not told apart: what a treatment does to the knowledge of the forget set and what to "
            "the whole model, beyond what the kept scores show; nor is anything known of rounding "
            "that calibrates, keeps outliers or rounds activations too.",
            *choice_notes(scenarios_of(table)[0], cells),
        ]


def require_treatment(experiments: Mapping[str, Experiment]) -> None:
    """Check that experiments set `durability`, and all of them the same."""
    first = next(iter(experiments.values())).durability
    for name, experiment in experiments.items():
        if experiment.durability is None:
            raise ValueError(f"{name!r} has no `durability`: nothing is rounded or relearned")
        if experiment.durability != first:
            raise ValueError(f"{name!r} has another `durability` than those before it")


def _treatments(names: set[str]) -> list[str]:
    """Describe what was done to the models."""
    lines = []
    if any(f"forget_{form}" in names for form in ROUNDINGS):
        lines.append(
            "int8, int4, nf4: the weights of linear layers, attention and convolutions are rounded "
            "to the nearest of 255, 15 or 16 values, in groups of neighbouring numbers of a row "
            "that share a scale, the largest magnitude of the group. Norms, biases, embeddings and "
            "the statistics of batch normalisation stay, and so does what is computed with them."
        )
    if AFTER in names:
        lines.append(
            "relearned: trained on the whole forget set, all weights, in the same order for all "
            "models, by the recipe `durability.relearn` of the study. The base and Retrain, where "
            "they are rows, are treated like the others."
        )
    return lines


def _facts(cells, names: set[str]) -> Iterator[str]:
    """Describe of each experiment how much is rounded, and how long it is trained."""
    single = cells[(cells["experiment"] != MEAN) & cells["value"].notna()]
    for experiment, group in single.groupby("experiment", sort=False):
        value = group.groupby("metric")["value"].max()
        facts = []
        if any(f"forget_{form}" in names for form in ROUNDINGS):
            share = 100 * value["rounded"] / value["numbers"]
            facts.append(
                f"{share:.1f} % of the numbers are rounded, in groups of {value['group_size']:.0f}"
            )
        if AFTER in names:
            epochs = "1 epoch" if value["epochs"] == 1 else f"{value['epochs']:.0f} epochs"
            facts.append(f"relearning is {epochs} at a rate of {value['learning_rate']:g}")
        yield f"{experiment}: {'; '.join(facts)}."


def _ratios(names: set[str]) -> list[str]:
    """Give the formulas of the ratios that are printed."""
    lines = []
    if any(f"lasting_{form}" in names for form in ROUNDINGS):
        lines.append(
            "lasting, of a rounding: min(b / a, 1), where b and a are the forget scores before and "
            "after it; 100 % where rounding brings nothing back, NA where both are 0. In the CSV "
            "file `inverse` is min(a / b, 1), as code of others has it, and `likeness` is "
            "1 - |a - b| / (a + b), which asks for no direction."
        )
    if f"lasting_{RELEARNED}" in names:
        lines.append(
            "lasting, of relearning: min(gain of Retrain / gain of the row, 1), where a gain is "
            "the forget score after relearning minus that before; 100 % where the row learns no "
            "faster than a model that never knew these items, NA where the row gains nothing, "
            "Retrain loses, or either diverged. In the CSV file `likeness` is "
            "1 - |u - r| / (|u| + |r|) of both gains."
        )
    elif AFTER in names:
        lines.append(
            "There is no ratio of relearning: it needs Retrain, a model that never knew what is "
            "forgotten. Compare with the row of the base."
        )
    return lines


KIND = Durability()
