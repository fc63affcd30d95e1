"""What language models still know of the authors to forget and of others (language)."""

from itertools import islice

from negmerge.reporting.kinds import TableKind
from negmerge.reporting.records import MEAN
from negmerge.scenarios.language.scenario import (
    EXTRACTION,
    FORGET_PROBABILITY,
    FURTHER,
    RETAIN_PROBABILITY,
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

    def notes(self, table, cells):
        measured = set(cells.loc[cells["value"].notna(), "metric"])
        return [
            meaning.format(values=_quality_values(cells))
            for name, meaning in MEANING.items()
            if name in measured
        ]


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
