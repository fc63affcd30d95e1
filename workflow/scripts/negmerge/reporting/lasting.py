"""The measures of tables of kind `durability`: scores under each treatment, and their ratios."""

import math
from collections.abc import Callable, Collection, Mapping

from negmerge.checkpoints.divergence import DIVERGED
from negmerge.reporting.metrics import Metric, Number, read
from negmerge.settings.durability import AS_IS, RELEARNED, ROUNDINGS

LABELS = {AS_IS: "as it is", **{form: form for form in ROUNDINGS}, RELEARNED: "relearned"}
# The role whose accuracy must be kept, by scenario.
KEPT = ("control", "retain")
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


def metrics_of(measured: Collection[str]) -> tuple[Metric, ...]:
    """List scores and ratios of what there is; that of relearning only where there is a Retrain."""
    names = set(measured)
    kept = next(role for role in KEPT if f"{role}_{AS_IS}" in names)
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
