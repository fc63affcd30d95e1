"""What may be concluded from tables, in words: how much there is to forget, and which rows rank."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from negmerge.evaluation.uncertainty import RESAMPLES, SIGNIFICANCE
from negmerge.reporting.judged import FEW_POINTS, is_little
from negmerge.reporting.metrics import MEAN, TO_FORGET
from negmerge.reporting.scores import Scores, scores_of

ONE_SEED = "one seed ranks nothing beyond these {items}: another training may give another order"
TOO_LITTLE = (
    f"too little for any row to rank: less than {FEW_POINTS:g} points, or not told apart from none"
)


def number_of_trials(column: pd.DataFrame) -> int:
    """Count the trials behind a column: tasks of a classifier, otherwise experiments."""
    places = column[column["experiment"] != MEAN][["experiment", "task"]].drop_duplicates()
    of_tasks = _scores(column).with_retrain
    return len(places) if of_tasks else places["experiment"].nunique()


def _scores(cells: pd.DataFrame) -> Scores | None:
    return scores_of(set(cells["metric"]))


def comparison_notes(table: Mapping, cells: pd.DataFrame) -> list[str]:
    """Describe how much there is to forget in each column, and what bold values mean."""
    if cells["p_value"].isna().all():
        return []
    labels_of: dict[str, list[str]] = {}
    trials, scores = {}, {}
    for label in (column["label"] for column in table["columns"]):
        of_column = cells[cells["column"] == label]
        scores[label] = _scores(of_column)
        # Columns that differ in the rule of a choice forget the same.
        labels_of.setdefault(_amount(scores[label], of_column), []).append(label)
        trials[label] = number_of_trials(of_column)
    lines = [f"{', '.join(labels)}: {text}" for text, labels in labels_of.items()]
    single: dict[str, list[str]] = {}
    for label in (label for label, count in trials.items() if count == 1):
        single.setdefault(ONE_SEED.format(items=scores[label].items), []).append(label)
    lines += [f"{', '.join(labels)}: {text}." for text, labels in single.items()]
    if (cells["with_best"].eq(True)).any():
        for kind in dict.fromkeys(_compared(one) for one in scores.values()):
            counts = [n for key, n in trials.items() if _compared(scores[key]) == kind]
            lines.append(_bold(*kind, max(counts)))
    if any(one.with_retrain for one in scores.values()):
        lines.append(
            "± of an average gap: its standard deviation when the images are drawn anew, "
            f"{RESAMPLES:,} times, for the method and Retrain alike; the attack's verdict on each "
            "image stays. ± of the attack: binomial, of its verdicts."
        )
    return lines


def _amount(scores: Scores, column: pd.DataFrame) -> str:
    """Describe how much there is to forget in one column of a table."""
    found = column[(column["metric"] == TO_FORGET) & (column["experiment"] == MEAN)]
    if found.empty:
        needed = " and ".join(f"`{method}`" for method in scores.needed)
        plural = "s" if len(scores.needed) > 1 else ""
        return f"how much there is to forget is not known; it takes the method{plural} {needed}."
    return _spell_amount(scores, found.iloc[0])


def _spell_amount(scores: Scores, cell: Mapping) -> str:
    """Describe who has how many of the forget images right, and whether any row can rank."""
    knows, never = scores.knows
    paired = "paired, " if scores.has_retrain else ""
    error = f"{cell['value']:.2f} ± {cell['standard_error']:.2f}"
    text = (
        f"{knows} {scores.says.format(share=cell['value'] + cell['reference'])}, "
        f"{never} {cell['reference']:.2f} %, which leaves {error} points to forget "
        f"({paired}{spell_p(cell['p_value'])})"
    )
    little = is_little(cell["value"], cell["p_value"])
    return f"{text}, {TOO_LITTLE}." if little else f"{text}."


def _compared(scores: Scores) -> tuple[bool, str]:
    """Return what decides how rows are compared, and on what."""
    return scores.with_retrain, scores.items


def _bold(with_retrain: bool, items: str, trials: int) -> str:
    """Describe what a bold value means."""
    best, how = "the best of its column", "McNemar's exact test; for a mean of several cells "
    if with_retrain:
        best, how = "the one of its column that is closest to Retrain", ""
    elif items != "images":
        how = ""
    over_trials = ", and over trials by a paired t-test, of which the larger p counts"
    return (
        f"bold: {best}, or not told apart from that one: two-sided p > {SIGNIFICANCE:g} on the "
        f"same {items} ({how}a paired bootstrap{over_trials if trials > 1 else ''}). Rows are not "
        "corrected for their number. Each p is in the CSV file."
    )


def spell_p(p: float) -> str:
    """Spell a p."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def amounts(
    study: Mapping, tables: Mapping[str, tuple[Mapping, pd.DataFrame]]
) -> dict[str, list[str]]:
    """Describe for each experiment in tables how much there is to forget, and the role of seeds."""
    found: dict[str, list[str]] = {}
    for name in study["experiments"]:
        here = [cells[cells["experiment"] == name] for _, cells in tables.values()]
        of_scores = [(_scores(cells), cells) for cells in here if _scores(cells)]
        if of_scores:
            found[name] = list(_sentences(of_scores, _repeats(study, name)))
    return found


def _sentences(here: Sequence[tuple[Scores, pd.DataFrame]], repeats: int) -> Iterator[str]:
    known = {
        cell["task"]: _spell_amount(scores, cell)
        for scores, cells in here
        for cell in cells[cells["metric"] == TO_FORGET].to_dict("records")
    }
    yield from (f"{task}: {text}" for task, text in known.items())
    if not known:
        yield "How much there is to forget is not known."
    if repeats == 1:
        yield f"{ONE_SEED.format(items=next(iter(here))[0].items).capitalize()}."


def _repeats(study: Mapping, name: str) -> int:
    """Count the trials of an experiment, and of others that differ from it in the seed only."""
    without_seeds = [
        {key: value for key, value in one.items() if key not in ("seed", "seeds")}
        for one in study["experiments"].values()
    ]
    own = study["experiments"][name]
    same = without_seeds.count({k: v for k, v in own.items() if k not in ("seed", "seeds")})
    return same * own.get("trials", 1)


@dataclass(frozen=True)
class Verdict:
    """Which rows lead a column of a table."""

    table: str  # its title
    column: str  # its label
    measure: str  # what is compared
    # The rows that are best or not told apart from the best; none where no row ranks.
    best: list[str]
    rows: int  # how many were compared


def verdicts(tables: Mapping[str, tuple[Mapping, pd.DataFrame]]) -> list[Verdict]:
    """List for each column of the tables of scores which rows lead it, by its leading measure."""
    found = []
    for table, cells in tables.values():
        for column in table["columns"]:
            of_column = cells[(cells["column"] == column["label"]) & (cells["experiment"] == MEAN)]
            scores = _scores(of_column)
            if scores is None:
                continue
            (metric,) = [one for one in scores.metrics if one.name == scores.leading]
            means = of_column[of_column["metric"] == metric.name]
            compared = means[means["p_value"].notna()]
            if len(compared):
                best = compared[compared["with_best"].eq(True)].sort_values(
                    "value", ascending=metric.better == "lower", kind="stable"
                )
                labels = best["row"].to_list()
                found.append(
                    Verdict(table["title"], column["label"], metric.label, labels, len(compared))
                )
    return found
