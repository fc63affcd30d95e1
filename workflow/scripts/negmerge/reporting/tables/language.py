"""What language models still know of the authors to forget and of others (language)."""

from itertools import islice

from negmerge.reporting.kinds import TableKind
from negmerge.reporting.records import MEAN
from negmerge.scenarios.language.scenario import (
    EXTRACTION,
    FORGET_PROBABILITY,
    FURTHER,
    RETAIN_PROBABILITY,
    SCENARIO,
)


class Language(TableKind):
    """Scores of language models on questions, with TOFU's metrics."""

    caption = (
        "What the unlearned language models still know, in percent. Forget probability and "
        "extraction strength: how probable the forgotten answers are, and how much of each the "
        "model says by itself; lower is better. Retain: the same of what is to be kept. ± is the "
        "standard error that comes from the finite number of questions, in points. Bold are the "
        "best value of a column and all that are not told apart from it on the same questions. "
        "Choice is the scale of the subtracted vector, or the setting of a method that trains."
    )
    scenarios = ("language",)
    is_scored = True
    metrics = (FORGET_PROBABILITY, EXTRACTION, RETAIN_PROBABILITY, *FURTHER)
    shows_choice = True

    def notes(self, table, cells):
        """Describe the metrics, and how coefficients were chosen."""
        from negmerge.reporting.notes import choice_notes, error_note

        return [
            "Probability: exp of the mean log-probability of an answer's tokens, its end included. "
            "Extraction strength: the share of the answer's tokens that the model says by itself "
            "from some token on; it is never below one token, 1 / n. ROUGE-L recall: of greedy "
            "answers. Definitions are those of open-unlearning (TOFU).",
            *_compared(cells),
            error_note(SCENARIO, cells),
            *choice_notes(SCENARIO, cells),
        ]


def _compared(cells) -> list[str]:
    """Explain what is compared with Retrain, where it is."""
    found = set(cells.loc[cells["value"].notna(), "metric"])
    lines = []
    if "truth" in found:
        lines.append(
            "Truth ratio: 100 % where right answers, in other words, and wrong ones are equally "
            "probable."
        )
    if "utility" in found:
        lines.append(
            "Model utility: harmonic mean of probability, ROUGE-L recall and truth ratio of all "
            "roles to keep that the data set has; TOFU's has three."
        )
    if "quality" in found:
        lines.append(
            "Forget quality: log10 of the p of a Kolmogorov-Smirnov test between the truth ratios "
            f"and Retrain's; 0 is best. {_grid(cells)}so the distance stands beside it."
        )
    if "privleak" in found:
        lines.append(
            "privleak: how far the attack min-k is from its success on Retrain; 0 is best, far "
            "below 0 the model remembers, far above 0 the answers look stranger than new ones. Its "
            "± is the standard deviation when forget and held-out questions are drawn anew, for "
            "both models alike; there is none where a draw may leave it undefined."
        )
    return lines


def _grid(cells) -> str:
    """Say which values forget quality can have, where all cells have as many questions."""
    from negmerge.evaluation.language import forget_quality_at

    single = cells[(cells["metric"] == "quality") & (cells["experiment"] != MEAN)]
    counts = sorted(set(single["images"].dropna().astype(int)))
    if len(counts) != 1:
        return "With few questions it has few values, "
    (n,) = counts
    values = (forget_quality_at(step, n).log10 for step in range(1, n + 1))
    # Those that two digits tell apart from 0.
    first = islice((value for value in values if value <= -0.005), 3)
    return (
        f"With {n} questions it can be 0.00, {', '.join(f'{value:.2f}' for value in first)} and so "
        f"on down to {forget_quality_at(n, n).log10:.1f}, and nothing between, "
    )


KIND = Language()
