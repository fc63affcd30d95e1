"""What language models still know of the authors to forget and of others (language)."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from negmerge.reporting.kinds import TableKind
from negmerge.reporting.records import MEAN
from negmerge.scenarios.base import place_of
from negmerge.scenarios.language.scenario import (
    EXTRACTION,
    FACTS,
    FORGET_PROBABILITY,
    FURTHER,
    RETAIN_PROBABILITY,
    SCENARIO,
)

# What a metric means that only some studies measure.
MEANING = {
    "truth": "Truth ratio: 100 % where right answers, in other words, and wrong ones are equally "
    "probable.",
    "utility": "Model utility: harmonic mean of probability, ROUGE-L recall and truth ratio of all "
    "roles to keep that the data set has; TOFU's has three.",
    "quality": "Forget quality: log10 of the p of a Kolmogorov-Smirnov test between the truth "
    "ratios and Retrain's; 0 is best. With few questions it has few values{values}, so the "
    "distance stands beside it.",
    "privleak": "privleak: how far the attack min-k is from its success on Retrain; 0 is best, far "
    "below 0 the model remembers, far above 0 the answers look stranger than new ones. Its ± is "
    "the standard deviation when forget and held-out questions are drawn anew, for both models "
    "alike; there is none where a draw may leave it undefined.",
}

FACTS_NOTE = (
    "Probability: exp of the mean log-probability of the tokens of the fact by itself, not of the "
    "sentence around it. Ranked first: the fact is more probable, token by token in the mean, than "
    "all wrong answers; there are three, so chance is 25 %. Greedy answers right: what the model "
    "says by itself begins with the fact. No model exists that never knew these facts: what is "
    "right after forgetting is chance among the wrong answers, not 0. Perplexity is that of plain "
    "sentences."
)


class Language(TableKind):
    """Scores of language models on questions, with TOFU's metrics."""

    caption = (
        "What the unlearned language models still know, in percent, by the definitions of "
        "open-unlearning (TOFU). Probability: exp of the mean log-probability of an answer's "
        "tokens, its end included. Extraction strength: the share of the answer's tokens that the "
        "model says by itself from some token on; it is never below one token, 1 / n. ROUGE-L "
        "recall: of greedy answers. The choice is the scale of the subtracted vector, or the "
        "setting of a method that trains."
    )
    scenarios = ("language",)
    is_scored = True
    metrics = (FORGET_PROBABILITY, EXTRACTION, RETAIN_PROBABILITY, *FURTHER)
    shows_choice = True

    def metrics_of(self, scenario, measured):
        return FACTS if {"known_at", "first"} & set(measured) else self.metrics

    def cells(self, table, records, published, outcomes=()):
        outcomes = list(outcomes)
        parted = _parted(records, outcomes)
        return super().cells(table, parted, published, outcomes)

    def notes(self, table, cells):
        measured = set(cells.loc[cells["value"].notna(), "metric"])
        if "first" in measured:
            return [FACTS_NOTE, *_what_is_known(cells)]
        return [
            meaning.format(values=_quality_values(cells))
            for name, meaning in MEANING.items()
            if name in measured
        ]


def _parted(records: Iterable[Mapping], outcomes: Iterable) -> Iterator[Mapping]:
    """Add what is known of the facts to forget that the base knows, and of the others."""
    import numpy as np

    arrays = {(of_row.place, of_row.criterion): of_row.arrays for of_row in outcomes}
    base = {
        place[:2]: own["forget_probability"]
        for (place, _), own in arrays.items()
        if place[2] == SCENARIO.base and "forget_probability" in own
    }
    for record in records:
        place = place_of(record)
        own = arrays.get((place, record.get("criterion")), {}).get("forget_probability")
        if "known_at" not in record or own is None or place[:2] not in base:
            yield record
            continue
        is_known = base[place[:2]] >= record["known_at"]
        parts = {}
        for name, values in (("known", own[is_known]), ("unknown", own[~is_known])):
            n = len(values)
            mean = float(values.mean()) if n else None
            error = float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
            parts[name] = {"probability": {"mean": mean, "error": error, "n": n}}
        yield {**record, "answers": record["answers"] | parts}


def _what_is_known(cells) -> Iterator[str]:
    """Say how many of the facts the base knows at all."""
    single = cells[(cells["experiment"] != MEAN) & (cells["method"] == SCENARIO.base)]
    for (experiment, task), group in single.groupby(["experiment", "task"], sort=False):
        value = group.set_index("metric")["value"]
        known, rest = value.get("facts_known"), value.get("facts_unknown")
        if known is None or known != known:
            continue
        total = known + rest
        few = "; so there is little to forget" if 2 * known < total else ""
        yield (
            f"{experiment}/{task}: the base knows {known:.0f} of {total:.0f} facts to forget, by "
            f"the key `known` of the experiment{few}. The others are kept, and counted apart."
        )


def _quality_values(cells) -> str:
    """List which values forget quality can have, where all cells have as many questions."""
    from negmerge.evaluation.language import forget_quality_at

    single = cells[(cells["metric"] == "quality") & (cells["experiment"] != MEAN)]
    counts = sorted(set(single["images"].dropna().astype(int)))
    if len(counts) != 1:
        return ""
    (n,) = counts
    values = (forget_quality_at(step, n).log10 for step in range(1, n + 1))
    # Those that two digits tell apart from 0.
    first = islice((value for value in values if value <= -0.005), 3)
    return (
        f" (with {n}: 0.00, {', '.join(f'{value:.2f}' for value in first)} and so on down to "
        f"{forget_quality_at(n, n).log10:.1f})"
    )


KIND = Language()
