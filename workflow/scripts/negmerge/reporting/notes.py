"""What stands below a table: what is averaged, what marks mean, how coefficients were chosen."""

from collections.abc import Mapping

import pandas as pd

from negmerge.reporting.marks import MARKS
from negmerge.reporting.mask import mask_notes
from negmerge.reporting.tables import MEAN
from negmerge.reporting.verdicts import comparison_notes

NOT_COMPARABLE = " ‡"
# The images that a kind of table is measured on, where all of them are of one kind.
IMAGES = {"accuracy": " test", "sweep": " validation"}
# What makes the standard error of its accuracies.
FINITE = {
    "accuracy": "the finite test sets",
    "sweep": "the finite validation sets",
    "gap": "the finite numbers of images",
    "mask": "the finite numbers of images",
}
TOO_LONG = "longer"
RULES = {
    "retain": "among the coefficients that keep at least {keep} of the original's retain accuracy, "
    "the one with the lowest forget accuracy, both on training images; among equals the smallest",
    "gap": "the one with the smallest average gap to Retrain, on forget, retain and test images; "
    "it needs Retrain and test data, which no user has who must forget",
    "control": "among the coefficients that keep at least {keep} of the base's control accuracy, "
    "the one with the lowest forget accuracy, both on validation images; among equals the smallest",
}


def rule_text(rule: str, keep: float) -> str:
    """Say in words how a coefficient was chosen.

    Args:
        rule: the rule's name.
        keep: share of the control accuracy to keep, 0..1.
    """
    return RULES.get(rule, "rule `{rule}`, keeping {keep}").format(
        rule=rule, keep=f"{100 * keep:.4g} %"
    )


def notes(table: Mapping, cells: pd.DataFrame) -> list[str]:
    """List the notes of a table.

    Args:
        table: the definition of the table, as in a study.
        cells: from `tables.cells` or `tables.read_cells`.
    """
    images = IMAGES.get(table["kind"], "")
    rows = cells[cells["row"].notna()]
    lines = [_averaged(column["label"], rows, images) for column in table["columns"]]
    averages = (rows["averaged"] > 1).any()
    lines += comparison_notes(table, cells)
    lines += KINDS[table["kind"]](rows)
    if averages:
        lines.append(
            "std: standard deviation (divisor k - 1) over the cells that are averaged; the single "
            "cells stand in the CSV file."
        )
    return lines + _paper_notes(table)


def _averaged(label: str, cells: pd.DataFrame, images: str) -> str:
    """Say over which experiments and tasks a column averages, and on how many images."""
    column = cells[(cells["column"] == label) & (cells["experiment"] != MEAN)]
    one = column[column["row"] == column["row"].iloc[0]]
    places = (one["experiment"] + "/" + one["task"]).drop_duplicates()
    what = f"mean of {len(places)} cells, " if len(places) > 1 else ""
    text = f"{label}: {what}{', '.join(places)}"
    counts = [
        f"{int(n):,} {metric}"
        for metric, n in one.groupby("metric", sort=False)["images"].sum().items()
        if n
    ]
    return f"{text}; {' and '.join(counts)}{images} images." if counts else f"{text}."


def _accuracy_notes(cells: pd.DataFrame) -> list[str]:
    return [_error_note("accuracy", cells), *_choice_notes(cells)]


def _gap_notes(cells: pd.DataFrame) -> list[str]:
    relearned = cells[(cells["metric"] == "relearn")]
    lines = [
        "Every column is best where it is closest to Retrain, which was trained without the forget "
        "set; its value stands in the heading. Average gap: mean distance to it over retain, "
        "forget and test accuracy and the attack, in points, of the means shown; the mean of the "
        "trials' own gaps stands in the CSV file.",
        "Membership attack: share of forget images that a support vector classifier, trained on "
        "the true class's probability of as many retain as test images, takes for unseen. The "
        "other features stand in the CSV file; m_entropy_official has the mistake of the SalUn "
        "code, m_entropy has not.",
        *_thinned(cells),
        "data used: the training images that the method itself reads, also where the model was "
        "left alone in the end. Choosing a coefficient also reads retain images.",
    ]
    if relearned["runs"].notna().any():
        lines.append(
            "relearn time: epochs of plain SGD on the forget set until the model knows it as well "
            "as the original did; the median and, where they differ, the range of "
            f"{int(relearned['runs'].max())} runs, each with another order of the images; "
            f"`{TOO_LONG}`: not within the limit. No row ranks by it: so few runs tell nothing "
            "apart."
        )
    lines += [
        _error_note("gap", cells),
        "Retain and forget images are training images, and all that there are: their ± says how "
        "far as many others, drawn likewise, might lie, and nothing of images never trained on.",
    ]
    return [*lines, *_choice_notes(cells)]


def _thinned(cells: pd.DataFrame) -> list[str]:
    """Say where the attack learned from a part of the test images, since there are too few others.

    See `evaluation.membership.images_to_learn_from`.
    """
    single = cells[cells["experiment"] != MEAN]
    sizes = single.pivot_table("images", "experiment", "metric", "max", sort=False)
    return [
        f"{experiment}: there are only {int(one.retain):,} retain images, so the attack learned "
        f"from as many of the {int(one.test):,} test images, drawn by the seed, the same for all "
        "rows."
        for experiment, one in sizes.iterrows()
        if one.retain < one.test
    ]


def _cost_notes(cells: pd.DataFrame) -> list[str]:
    return [
        "time and memory of the whole job that merges or trains, with the start of Python, reading "
        "and writing, as Snakemake measured them; of Greedy Merge also its forward passes, and of "
        "a method with a grid all its models and what measures them. The fine-tuning of the merged "
        "models is not in it, nor is the search of a coefficient.",
    ]


def _error_note(kind: str, cells: pd.DataFrame) -> str:
    return (
        f"±: standard error from {FINITE[kind]}, sqrt(Σ p (1 - p) / n) / k for the mean of k "
        "accuracies p on n images each, in percentage points. It holds no spread between training "
        "runs"
        + (
            ", and where averaged cells share images (the control set, several seeds) it is "
            "too small."
            if (cells["averaged"] > 1).any()
            else "."
        )
    )


def _choice_notes(cells: pd.DataFrame) -> list[str]:
    lines = []
    single = cells[cells["experiment"] != MEAN].dropna(subset=["coefficient", "rule", "keep"])
    rules = single[["rule", "keep"]].drop_duplicates().itertuples(index=False)
    lines += [f"Choice: {rule_text(rule, float(keep))}." for rule, keep in rules]
    marked = [mark for name, mark in MARKS.items() if cells[name].eq(True).any()]
    if marked and (cells["averaged"] > 1).any():
        lines.append("A mark at a mean holds for at least one of the cells that are averaged.")
    return lines + [f"{mark.sign}: {mark.text}" for mark in marked]


def _sparsity_notes(cells: pd.DataFrame) -> list[str]:
    lines = [
        "Zeros in the whole image encoder include the weights that fine-tuning leaves alone; the "
        "trainable weights do not."
    ]
    for experiment, group in cells[cells["experiment"] != MEAN].groupby("experiment", sort=False):
        first = group.iloc[0]
        lines.append(
            f"{experiment}: {int(first['models'])} models are merged; {int(first['trainable']):,} "
            f"trainable weights of {int(first['state']):,} numbers."
        )
    return lines


def _mask_notes(cells: pd.DataFrame) -> list[str]:
    return [*mask_notes(cells), _error_note("mask", cells), *_choice_notes(cells)]


def _sweep_notes(cells: pd.DataFrame) -> list[str]:
    return [
        "Each row is a coefficient: the accuracies on the images by which one is chosen, when the "
        "vector times the coefficient is subtracted from the base. Scores are measured on others.",
        _error_note("sweep", cells),
    ]


KINDS = {
    "accuracy": _accuracy_notes,
    "gap": _gap_notes,
    "sparsity": _sparsity_notes,
    "mask": _mask_notes,
    "cost": _cost_notes,
    "sweep": _sweep_notes,
}


def _paper_notes(table: Mapping) -> list[str]:
    published = [column["published"] for column in table["columns"] if column["published"]]
    lines = []
    if published:
        lines.append(
            "paper: the cell printed in the paper, NA where it is not known to us"
            + (
                "; in brackets how far ours lies above it, in points."
                if any(one["comparable"] for one in published)
                else "."
            )
        )
    if published and table["kind"] == "cost":
        lines.append("The paper's times are for 30 models; on which machine is not known to us.")
    if not all(one["comparable"] for one in published):
        lines.append(
            "‡: for orientation only. Model and data are not the paper's: no difference is given."
        )
    return lines
