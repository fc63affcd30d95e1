"""Whether forgetting lasts: scores as they are, of rounded weights, and after relearning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from negmerge.checkpoints.divergence import DIVERGED
from negmerge.reporting.kinds import TableKind
from negmerge.reporting.records import MEAN, read_records
from negmerge.scenarios.base import Metric, Number, place_of, read
from negmerge.settings.durability import AS_IS, RELEARNED, ROUNDINGS
from negmerge.settings.methods import RETRAIN

if TYPE_CHECKING:
    from negmerge.settings.experiment import Experiment

LABELS = {AS_IS: "as it is", **{form: form for form in ROUNDINGS}, RELEARNED: "relearned"}
# Where a record has its single items; those of Retrain, treated alike, begin with `NEVER`.
ITEMS, NEVER = "items", "never_"
BEFORE, AFTER = f"forget_{AS_IS}", f"forget_{RELEARNED}"
LASTING = f"lasting_{RELEARNED}"
# Whether teaching the model again diverged; it has then no scores of it.
HAS_DIVERGED = f"{DIVERGED}_{RELEARNED}"
ROUNDING_NOTES = (
    "int8, int4, nf4: the weights of linear layers, attention and convolutions are rounded to the "
    "nearest of 255, 15 or 16 values, in groups of neighbouring numbers of a row that share a "
    "scale, the largest magnitude of the group. All else stays, and so does what is computed. "
    "Rounding that calibrates, keeps outliers or rounds activations too may differ.",
    "lasting, of a rounding: min(b / a, 1), where b and a are the forget scores before and after "
    "it; NA where both are 0. In the CSV file `inverse` is min(a / b, 1), as code of others has "
    "it, and `likeness` is 1 - |a - b| / (a + b), which asks for no direction.",
)
PART_NOTE = (
    "relearned, by another name: taught only a part of what was to be forgotten, where the rest is "
    "scored, or something else, by the key `durability.relearn_from` of the study."
)
RELEARNING_NOTE = (
    "relearned: trained on the whole forget set, all weights, in the same order for all models, by "
    "the recipe `durability.relearn` of the study; the base and Retrain too, where they are rows."
)
RATIO_NOTE = (
    "lasting, of relearning: min(gain of Retrain / gain of the row, 1), where a gain is the forget "
    "score after relearning minus that before; NA where the row gains nothing, Retrain loses, or "
    "either diverged. In the CSV file `likeness` is 1 - |u - r| / (|u| + |r|) of both gains."
)
NO_RATIO_NOTE = (
    "There is no ratio of relearning without Retrain, a model that never knew what is forgotten: "
    "compare with the row of the base."
)


def score(role: str, treatment: str) -> Metric:
    """Return the mean score of the single items of a role, missing where the treatment diverged."""
    key = f"{role}_{treatment}"

    def of(record: Mapping, _: Mapping | None) -> Number:
        if record[key] is None:
            return Number(None)
        items = record[ITEMS][key]
        # The treated models have the same items.
        count = len(items) if treatment == AS_IS else None
        return Number(100 * float(items.mean()), 1e4 * float(items.var()) / len(items), count)

    return Metric(
        key, f"{role}, {LABELS.get(treatment, treatment)}", "%", "", of,
        spell=lambda value: DIVERGED if value is None else f"{value:.2f}",
    )  # fmt: skip


def ratio(name: str, treatment: str, formula: str, *keys: str) -> Metric:
    """Return a ratio of mean scores, by a formula of `evaluation.durability`.

    Its variance is that of items drawn anew, for all models alike; missing where the ratio is not
    defined for each draw. People see only ratios that are `lasting`.
    """

    def of(record: Mapping, _: Mapping | None) -> Number:
        import numpy as np

        from negmerge.evaluation import durability
        from negmerge.evaluation.uncertainty import bootstrap_means

        compute, arrays = getattr(durability, formula), record[ITEMS]
        if any(key not in arrays for key in keys):
            return Number(None)
        items = np.stack([arrays[key] for key in keys], axis=1)
        value = 100 * float(compute(*items.mean(axis=0)))
        drawn = 100 * compute(*bootstrap_means(items, np.random.default_rng(0)).T)
        if math.isnan(value):
            return Number(None)
        return Number(value, None if np.isnan(drawn).any() else float(drawn.var(ddof=1)))

    better = "higher" if name == "lasting" else ""
    label = f"{name}, {LABELS[treatment]}"
    return Metric(f"{name}_{treatment}", label, "%", better, of, printed=name == "lasting")


GAINS = (BEFORE, AFTER, NEVER + BEFORE, NEVER + AFTER)
RATIOS = {
    **{
        form: (
            ratio("lasting", form, "rounding_ratio", BEFORE, f"forget_{form}"),
            ratio("inverse", form, "rounding_ratio", f"forget_{form}", BEFORE),
            ratio("likeness", form, "likeness", BEFORE, f"forget_{form}"),
        )
        for form in ROUNDINGS
    },
    RELEARNED: (
        ratio("lasting", RELEARNED, "relearning_ratio", *GAINS),
        ratio("likeness", RELEARNED, "likeness_of_gains", *GAINS),
    ),
}
RELEARNING = Metric(
    HAS_DIVERGED, "relearnings that diverged", "", "",
    lambda record, _: Number(float(record[AFTER] is None)), printed=False,
)  # fmt: skip
# What was done to the models, for the notes and the CSV file.
DONE = tuple(
    Metric(name, name.replace("_", " "), "", "", read(name), printed=False)
    for name in ("rounded", "numbers", "group_size", "epochs", "learning_rate")
)


class Durability(TableKind):
    """Scores on what was to be forgotten and to be kept, before and after each treatment."""

    caption = (
        "Whether what a model forgot stays forgotten. As it is: the unlearned model. int8, int4, "
        "nf4: the weights of its layers are rounded to so many bits. relearned: it is taught again "
        "what it forgot, for a moment. Lasting: how much of the score on the forget set after a "
        "treatment was there before it; of relearning, how fast the model learns beside Retrain, "
        "which never knew these items. 100 % is best. A ratio says nothing of a model that forgot "
        "nothing, such as the base, and little of one that treatments damage: read it beside the "
        "scores."
    )
    error = (
        "±: standard error from the finite numbers of items, in percentage points; of a ratio, its "
        "standard deviation when the items are drawn anew, for all models alike. A ratio without ± "
        "is not defined for each draw: what it divides by is not told apart from 0. The chance in "
        "relearning, and in the training behind each model, is not in it."
    )
    shows_choice = True

    def check(self, experiments, methods):
        require_treatment(experiments)

    def records(self, experiment, folder, row):
        names = dict.fromkeys([row, RETRAIN] if RETRAIN in experiment.methods else [row])
        return [
            f"{folder}/durability/{name}.{kind}"
            for name in names
            for kind in ("json", "safetensors")
        ]

    def read(self, paths):
        """Read scores, and put the single items behind them, and those of Retrain, into them."""
        from negmerge.evaluation.outcomes import read_outcomes

        paths = list(map(str, paths))
        scores = [score for path in paths if path.endswith("json") for score in read_records(path)]
        files = [path for path in paths if not path.endswith("json")]
        items = [of_row for path in files for of_row in read_outcomes(path)]
        own = {(of_row.place, of_row.criterion): of_row.arrays for of_row in items}
        never = {of_row.place[:2]: of_row.arrays for of_row in items if of_row.place[2] == RETRAIN}
        for record in scores:
            place = place_of(record)
            unseen = {NEVER + key: array for key, array in never.get(place[:2], {}).items()}
            record[ITEMS] = own[place, record["criterion"]] | unseen
            record |= {LASTING: None} if unseen else {}
        return scores

    def metrics_of(self, scenario, measured):
        names = set(measured)
        rounded = [form for form in ROUNDINGS if f"forget_{form}" in names]
        first = scenario.roles[0]
        own = [name.removeprefix(f"{first}_") for name in measured if name.startswith(f"{first}_")]
        # A record also has `forget_accuracy`, by which its model was chosen.
        forms = dict.fromkeys([*LABELS, *sorted({*own} - {*LABELS, "accuracy"})])
        shown = [(role, form) for role in scenario.roles[:2] for form in forms]
        return (
            *(score(role, form) for role, form in shown if f"{role}_{form}" in names),
            *(metric for form in rounded for metric in RATIOS[form]),
            *(RATIOS[RELEARNED] if {LASTING, AFTER} <= names else ()),
            *((RELEARNING,) if AFTER in names else ()),
            *DONE,
        )

    def notes(self, table, cells):
        from negmerge.reporting.notes import spell_list

        names = set(cells["metric"])
        is_rounded = any(f"forget_{form}" in names for form in ROUNDINGS)
        lines = [*(ROUNDING_NOTES if is_rounded else ())]
        known = {f"forget_{form}" for form in LABELS}
        if any(name.startswith("forget_") and name not in known for name in names):
            lines.append(PART_NOTE)
        if AFTER in names:
            lines += [RELEARNING_NOTE, RATIO_NOTE if LASTING in names else NO_RATIO_NOTE]
        single = cells[(cells["experiment"] != MEAN) & cells["value"].notna()]
        for experiment, group in single.groupby("experiment", sort=False):
            value = group.groupby("metric")["value"].max()
            facts = []
            if is_rounded:
                share = 100 * value["rounded"] / value["numbers"]
                groups = f"groups of {value['group_size']:.0f}"
                facts.append(f"{share:.1f} % of the numbers are rounded, in {groups}")
            if AFTER in names:
                epochs, rate = value["epochs"], value["learning_rate"]
                plural = "s" if epochs > 1 else ""
                facts.append(f"relearning is {epochs:.0f} epoch{plural} at a rate of {rate:g}")
            lines.append(f"{experiment}: {'; '.join(facts)}.")
        gone = single[(single["metric"] == HAS_DIVERGED) & (single["value"] == 1)]
        lines += [
            f"{experiment}/{task}: diverged when taught again, so there are no scores of it: "
            f"{spell_list(rows.to_list())}. A lower rate in `durability.relearn` may do."
            for (experiment, task), rows in gone.groupby(["experiment", "task"])["row"]
        ]
        return lines


def require_treatment(experiments: Mapping[str, Experiment]) -> None:
    """Check that experiments set `durability`, and all of them the same."""
    first = next(iter(experiments.values())).durability
    for name, experiment in experiments.items():
        if experiment.durability is None:
            raise ValueError(f"{name!r} has no `durability`: nothing is rounded or relearned")
        if experiment.durability != first:
            raise ValueError(f"{name!r} has another `durability` than those before it")


KIND = Durability()
