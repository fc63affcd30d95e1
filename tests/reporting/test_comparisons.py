"""What single images show: how much there is to forget, and which rows rank."""

import math

import numpy as np
import pandas as pd
import pytest
from reporting_examples import (
    ROLES,
    ROWS,
    classifier_score,
    clip,
    compared,
    gap_table,
    lay_out,
    means,
    net,
    outcomes,
    score,
    table,
)
from scipy.stats import ttest_rel

from negmerge.errors import UserError
from negmerge.evaluation.outcomes import Outcomes
from negmerge.evaluation.uncertainty import mcnemar
from negmerge.reporting.cells import cells
from negmerge.reporting.compare import amount, amount_cells
from negmerge.reporting.layout import latex, markdown
from negmerge.scenarios.classifier.scenario import SCENARIO as CLASSIFIER
from negmerge.scenarios.language.scenario import SCENARIO as LANGUAGE
from negmerge.scenarios.zero_shot.scenario import SCENARIO as ZERO_SHOT


def with_best(frame, metric):
    flags = means(frame, metric, "with_best")
    return {method for method, is_best in flags.items() if is_best is True}


def by_place(scores, roles=ROLES):
    images = [outcomes(one, roles) for one in scores]
    return {one.place: one for one in images}


def test_a_classifier_is_compared_with_retrain_on_the_same_images():
    cell = amount(CLASSIFIER, [("net", "trial1")], by_place(net("trial1", retrain=85)))
    assert (cell["value"], cell["reference"]) == (pytest.approx(15), pytest.approx(85))
    # 15 images for the one and none for the other.
    assert cell["standard_error"] == pytest.approx(100 * math.sqrt(15 - 15**2 / 100) / 100)
    assert cell["p_value"] == pytest.approx(2 / 2**15)
    assert (cell["averaged"], cell["images"]) == (1, 100)


def test_zero_shot_is_compared_with_guessing():
    cell, guessing = (
        amount(
            ZERO_SHOT, [("a", "x")], by_place([score("a", "x", "pretrained", n, 180)], ROLES[:1])
        )
        for n in (160, 20)
    )
    assert (cell["value"], cell["reference"]) == (pytest.approx(70), pytest.approx(10))
    assert cell["standard_error"] == pytest.approx(100 * math.sqrt(0.8 * 0.2 / 200))
    assert cell["p_value"] < 1e-6
    assert guessing["p_value"] == 1


@pytest.mark.parametrize(
    ("original", "retrain", "right"),
    # 4 points; and 6, but with right answers on other images.
    [(98, 94, {}), (93, 87, {"retrain": {"forget": slice(13, 100)}})],
)
def test_where_there_is_little_to_forget_no_row_ranks(original, retrain, right):
    scores = net("trial1", retrain, original)[:3]
    frame = compared(gap_table(), scores, ROLES, **right)
    assert frame["with_best"].isna().all()
    assert frame["p_value"].notna().any()
    text = markdown(lay_out(gap_table(), frame))
    assert "too little to rank rows" in text
    assert "**" not in text.partition("\n")[2]


def test_a_row_is_told_apart_by_mcnemars_test_on_the_same_images():
    # The same number of right answers on other images differs less surely.
    frame = compared(table(), clip())
    other = compared(table(), clip(), uniform={"forget": slice(20, 64)})
    assert means(frame, "forget", "p_value")["uniform"] == pytest.approx(2 / 2**4, abs=1e-6)
    right, shifted = np.zeros((2, 200), int)
    right[:40] = shifted[20:64] = 1
    p = means(other, "forget", "p_value")["uniform"]
    assert p == pytest.approx(mcnemar(right, shifted), abs=1e-6)
    assert with_best(frame, "forget") == {"negmerge", "uniform"}
    assert means(frame, "forget", "p_value")["pretrained"] < 0.001
    # Bold are the best and all that is not told apart from it.
    printed = lay_out(table(), frame)
    text = markdown(printed)
    assert "| NegMerge | **20.00 ± 2.83** | 86.00 ± 2.45 | 0.50 |" in text
    assert "| Uniform Merge | **22.00 ± 2.93** | 60.00 ± 3.46 | 0.50 |" in text
    assert "| Pre-trained | 80.00 ± 2.83 | **90.00 ± 2.12** | - |" in text
    assert r"\textbf{20.00 $\pm$ 2.83}" in latex(printed)
    assert "- bold: the best of its column, or not told apart from it" in text


def test_tasks_are_no_trials_and_experiments_are():
    two = [one | {"task": "letters"} for one in clip()]
    both = compared(table(), [*clip(), *two])
    assert with_best(both, "forget") == {"negmerge"}
    assert "B/32: there is one seed" in " ".join(lay_out(table(), both).notes)
    again = [one | {"experiment": "b"} for one in clip()]
    # In the second trial it is the other way round: the images are sure, the trials are not.
    again[2]["forget"] = {"correct": 38, "n": 200}
    definition = table(column={"experiments": ["a", "b"]})
    trials = compared(definition, [*clip(), *again])
    assert with_best(trials, "forget") == {"negmerge", "uniform"}
    assert "one seed" not in " ".join(lay_out(definition, trials).notes)


def test_seeds_are_trials_and_their_means_are_the_spread():
    again = [
        one | {"experiment": f"a.seed{number}", "task": task}
        | ({"forget": {"correct": right, "n": 200}} if one["method"] == "negmerge" else {})
        for number, right in ((2, 38), (3, 48))
        for task in ("digits", "letters")
        for one in clip()
    ]  # fmt: skip
    first = [one | {"task": "letters"} for one in clip()]
    definition = table(column={"experiments": ["a", "a.seed2", "a.seed3"]})
    frame = compared(definition, [*clip(), *first, *again])
    # 40, 38 and 48 of 200 images are right, in both tasks alike.
    assert means(frame, "forget", "std")["negmerge"] == pytest.approx(np.std([20, 19, 24], ddof=1))
    assert set(means(frame, "forget", "seeds").values()) == {3}
    expected = ttest_rel([20, 19, 24], [22, 22, 22]).pvalue
    p = means(frame, "forget", "p_negmerge")
    assert p["uniform"] == pytest.approx(expected, abs=1e-6)
    text = markdown(lay_out(definition, frame))
    assert "std over seeds" in text
    # A seed asks for the same images again, so it adds none; another task does.
    assert "mean of 6 cells, 3 seeds of a/digits, a/letters; 400 forget and 200 control" in text
    one_task = 100 * np.mean([math.sqrt(p * (1 - p) / 200) for p in (0.2, 0.19, 0.24)])
    errors = means(frame, "forget", "standard_error")
    assert errors["negmerge"] == pytest.approx(one_task / math.sqrt(2), abs=1e-6)
    errors = means(frame, "control", "standard_error")
    alone = means(compared(table(), clip()), "control", "standard_error")
    assert errors["pretrained"] == pytest.approx(alone["pretrained"], abs=1e-9)


def test_questions_of_several_seeds_count_once_in_what_there_is_to_forget():
    known = np.random.default_rng(0).random(40)
    models = {
        (place := (experiment, "capitals", method)): Outcomes(
            place, {"forget": 0}, {"forget_right": share * known}
        )
        for experiment in ("a", "a.seed2", "a.seed3")
        for method, share in (("original", 1.0), ("retrain", 0.5))
    }
    one, three = (
        amount(LANGUAGE, [(name, "capitals") for name in names], models)
        for names in (["a"], ["a", "a.seed2", "a.seed3"])
    )
    assert three.pop("averaged") == 3 * one.pop("averaged")
    assert three == pytest.approx(one)


def test_a_control_set_that_all_tasks_share_is_drawn_once_for_all():
    two = [one | {"task": "letters"} for one in clip()]
    # One model fails on the first images of both tasks, the other on others in each.
    right = {"negmerge": {"control": slice(8, 180)}}
    shared = means(compared(table(), [*clip(), *two], **right), "control", "p_value")
    single = means(compared(table(), clip(), **right), "control", "p_value")
    # Twice the same images are no more evidence than once.
    assert shared["negmerge"] == pytest.approx(single["negmerge"], abs=0.02)


def test_gaps_have_an_error_and_are_compared_by_a_paired_bootstrap():
    # Nearly as many right answers, on other images.
    trial = [*net("trial1")[:3], classifier_score("net", "trial1", "conflict", 86, 198, 158, 16.0)]
    frame = compared(gap_table(rows=ROWS), trial, ROLES, conflict={"forget": slice(5, 91)})
    errors = means(frame, "gap", "standard_error")
    # The gap is (4 + 1 + 0 + 3) / 4, of four images of 100, two of 200 and three of 100.
    assert 0.5 < errors["negmerge"] < 2
    assert pd.isna(errors["retrain"])
    assert with_best(frame, "gap") == {"negmerge", "conflict"}
    assert means(frame, "gap", "p_value")["original"] < 0.05
    assert pd.isna(means(frame, "gap", "p_value")["retrain"])
    assert means(frame, "gap", "standard_error", "trial1")["negmerge"] == errors["negmerge"]


def test_trials_that_disagree_tell_nothing_apart():
    scores = [*net("trial1")[:3], *net("trial2")[:3]]
    scores += [
        classifier_score("net", "trial1", "conflict", 100, 120, 90, 0.0),
        classifier_score("net", "trial2", "conflict", 80, 200, 160, 20.0),
    ]
    single = compared(gap_table(rows=ROWS, column={"tasks": ["trial1"]}), scores, ROLES)
    assert "conflict" not in with_best(single, "gap")
    both = compared(gap_table(rows=ROWS), scores, ROLES)
    assert with_best(both, "gap") == {"negmerge", "conflict"}


def test_outcomes_that_are_missing_or_do_not_fit_are_an_error():
    scores = clip()
    images = [outcomes(one) for one in scores]
    with pytest.raises(UserError, match=r"no outcomes of a/digits/uniform"):
        cells(table(), scores, {}, images[:2])
    scores[1]["forget"]["correct"] = 41
    with pytest.raises(UserError, match=r"a/digits/negmerge: forget: 40 .*200 .*, 41 of 200"):
        cells(table(), scores, {}, images)
    known = by_place(net("trial1"))
    assert amount_cells(CLASSIFIER, [("net", "trial2")], known) == []
    del known["net", "trial1", "retrain"]
    with pytest.raises(UserError, match=r"^no outcomes of net/trial1/retrain"):
        amount(CLASSIFIER, [("net", "trial1")], known)
