import numpy as np
import pandas as pd
import pytest
from reporting_examples import classifier_score, gap_table, lay_out, outcomes, score, table

from negmerge.errors import UserError
from negmerge.evaluation.uncertainty import mcnemar
from negmerge.reporting.cells import cells
from negmerge.reporting.layout import latex, markdown
from negmerge.reporting.records import MEAN

ROLES = ("forget", "retain", "test")


def judge(definition, scores, roles=("forget", "control"), **right):
    found = [outcomes(one, roles, **right.get(one["method"], {})) for one in scores]
    return cells(definition, scores, {}, found)


def means(frame, metric, what):
    """Return a column of the CSV file at the means of a metric, by method."""
    chosen = frame[(frame["metric"] == metric) & (frame["task"] == MEAN)]
    return dict(zip(chosen["method"], chosen[what], strict=True))


def with_best(frame, metric):
    found = means(frame, metric, "with_best")
    return {method for method, is_best in found.items() if is_best is True}


@pytest.fixture
def one_task():
    """Right of 200: the base 160 and 180; three methods of which two forget about as much."""
    return [
        score("a", "digits", "pretrained", 160, 180),
        score("a", "digits", "negmerge", 40, 172),
        score("a", "digits", "uniform", 44, 120),
    ]


def test_a_row_is_told_apart_by_mcnemars_test_on_the_same_images(one_task):
    # The same number of right answers on other images differs less surely.
    apart = {"uniform": {"forget": slice(20, 64)}}
    frame = judge(table(), one_task)
    other = judge(table(), one_task, **apart)
    assert means(frame, "forget", "p_value")["uniform"] == pytest.approx(2 / 2**4, abs=1e-6)
    right, shifted = np.zeros((2, 200), int)
    right[:40] = shifted[20:64] = 1
    p = means(other, "forget", "p_value")["uniform"]
    assert p == pytest.approx(mcnemar(right, shifted), abs=1e-6)
    assert p > 0.5
    assert with_best(frame, "forget") == {"negmerge", "uniform"}
    assert means(frame, "forget", "p_value")["negmerge"] == 1
    assert means(frame, "forget", "p_value")["pretrained"] < 0.001


def test_bold_values_are_those_of_the_best_and_all_not_told_apart(one_task):
    printed = lay_out(table(), judge(table(), one_task))
    text = markdown(printed)
    assert "| NegMerge | **20.00 ± 2.83** | 86.00 ± 2.45 | 0.50 |" in text
    assert "| Uniform Merge | **22.00 ± 2.93** | 60.00 ± 3.46 | 0.50 |" in text
    assert "| Pre-trained | 80.00 ± 2.83 | **90.00 ± 2.12** | - |" in text
    assert r"\textbf{20.00 $\pm$ 2.83}" in latex(printed)
    (note,) = [note for note in printed.notes if note.startswith("bold: ")]
    assert "not told apart" in note
    assert "McNemar's exact test" in note
    assert "t-test" not in note
    assert "B/32: one seed ranks nothing beyond these images" in " ".join(printed.notes)


def test_without_outcomes_nothing_is_compared(one_task):
    frame = cells(table(), one_task, {})
    assert frame["p_value"].isna().all()
    text = markdown(lay_out(table(), frame))
    assert "**2" not in text
    assert "bold" not in text
    assert "to forget" not in text


def test_tasks_are_no_trials_and_experiments_are(one_task):
    two = [one | {"task": "letters"} for one in one_task]
    both = judge(table(), [*one_task, *two])
    assert with_best(both, "forget") == {"negmerge"}
    again = [one | {"experiment": "b"} for one in one_task]
    column = {"experiments": ["a", "b"]}
    # In the second trial it is the other way round: the images are sure, the trials are not.
    again[2]["forget"] = {"correct": 38, "n": 200}
    trials = judge(table(column=column), [*one_task, *again])
    assert with_best(trials, "forget") == {"negmerge", "uniform"}
    notes = " ".join(lay_out(table(column=column), trials).notes)
    assert "over trials by a paired t-test" in notes
    assert "one seed" not in notes


def test_a_control_set_that_all_tasks_share_is_drawn_once_for_all(one_task):
    two = [one | {"task": "letters"} for one in one_task]
    # One model fails on the first images of both tasks, the other on others in each.
    right = {"negmerge": {"control": slice(8, 180)}}
    frame = judge(table(), [*one_task, *two], **right)
    shared = means(frame, "control", "p_value")["negmerge"]
    single = judge(table(), one_task, **right)
    # Twice the same images are no more evidence than once.
    assert shared == pytest.approx(means(single, "control", "p_value")["negmerge"], abs=0.02)


@pytest.fixture
def trial():
    """Retrain has 80 of 100 forget images right, the base all; two methods lie between them."""
    return [
        classifier_score("net", "trial1", "retrain", 80, 200, 160, 20.0),
        classifier_score("net", "trial1", "original", 100, 200, 162, 0.0),
        classifier_score("net", "trial1", "negmerge", 84, 198, 160, 17.0),
        classifier_score("net", "trial1", "conflict", 86, 198, 158, 16.0),
    ]


ROWS = {"retrain": "Retrain", "original": "Original", "negmerge": "NegMerge", "conflict": "other"}


def test_gaps_have_an_error_and_are_compared_by_a_paired_bootstrap(trial):
    definition = gap_table(rows=ROWS)
    # Nearly as many right answers, on other images.
    frame = judge(definition, trial, ROLES, conflict={"forget": slice(5, 91)})
    errors = means(frame, "gap", "standard_error")
    # The gap is (4 + 1 + 0 + 3) / 4, of four images of 100, two of 200 and three of 100.
    assert 0.5 < errors["negmerge"] < 2
    assert pd.isna(errors["retrain"])
    assert with_best(frame, "gap") == {"negmerge", "conflict"}
    assert means(frame, "gap", "p_value")["original"] < 0.05
    assert pd.isna(means(frame, "gap", "p_value")["retrain"])
    single = frame[(frame["metric"] == "gap") & (frame["task"] == "trial1")]
    found = dict(zip(single["method"], single["standard_error"], strict=True))
    assert found["negmerge"] == errors["negmerge"]
    notes = lay_out(definition, frame).notes
    assert [note for note in notes if "± of an average gap: its standard deviation" in note]


def test_distances_to_retrain_count_where_it_is_the_reference(trial):
    # Both are six images from Retrain, to either side.
    trial[2]["forget"]["correct"], trial[3]["forget"]["correct"] = 74, 86
    frame = judge(gap_table(rows=ROWS), trial, ROLES)
    assert with_best(frame, "forget") == {"negmerge", "conflict"}
    # The attack has the binomial error of its verdicts.
    errors = means(frame, "mia", "standard_error")
    assert errors["negmerge"] == pytest.approx(100 * (0.17 * 0.83 / 100) ** 0.5, abs=1e-6)


def test_trials_that_disagree_tell_nothing_apart(trial):
    second = [one | {"task": "trial2"} for one in trial]
    second[3] = classifier_score("net", "trial2", "conflict", 80, 200, 160, 20.0)
    trial[3] = classifier_score("net", "trial1", "conflict", 100, 120, 90, 0.0)
    definition = gap_table(rows=ROWS)
    single = judge(gap_table(rows=ROWS, column={"tasks": ["trial1"]}), trial, ROLES)
    assert "conflict" not in with_best(single, "gap")
    both = judge(definition, [*trial, *second], ROLES)
    assert with_best(both, "gap") == {"negmerge", "conflict"}
    notes = " ".join(lay_out(definition, both).notes)
    assert "over trials by a paired t-test" in notes
    assert "one seed" not in notes


def test_outcomes_that_do_not_fit_are_an_error(one_task):
    found = [outcomes(one) for one in one_task]
    with pytest.raises(UserError, match=r"no outcomes of a/digits/uniform"):
        cells(table(), one_task, {}, found[:2])
    one_task[1]["forget"]["correct"] = 41
    with pytest.raises(
        UserError, match=r"a/digits/negmerge: forget: 40 right of 200 .*41 of 200 by the score"
    ):
        cells(table(), one_task, {}, found)
