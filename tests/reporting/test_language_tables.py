"""Tables of language models: TOFU's metrics, and what is compared with Retrain."""

import math

import numpy as np
import pandas as pd
import pytest
from reporting_examples import cell, lay_out, means, table

from negmerge.evaluation.attacks import privleak, privleak_error
from negmerge.evaluation.language import forget_quality
from negmerge.evaluation.outcomes import Outcomes
from negmerge.reporting.cells import cells
from negmerge.reporting.layout import markdown
from negmerge.reporting.records import MEAN, TO_FORGET
from negmerge.reporting.tables import language

UNIT = 2.0**-30
N = 40
ROWS = {"retrain": "Retrain", "original": "Original", "negmerge": "NegMerge", "uniform": "Uniform"}
# Probabilities of the forget and the retain answers.
LEVELS = {
    "retrain": (0.05, 0.95),
    "original": (0.98, 0.97),
    "negmerge": (0.30, 0.94),
    "uniform": (0.60, 0.93),
}


def language_table(rows):
    column = {"label": "forget10", "experiments": ["llama"], "criterion": None}
    return table(kind="language", rows=rows, column=column, scenario="language")


def probabilities(method, role):
    """Probabilities of single answers around the level of a method."""
    noise = np.random.default_rng([len(method), len(role)]).uniform(-0.02, 0.02, N)
    return ((LEVELS[method][role == "retain"] + noise).clip(0, 1) / UNIT).round() * UNIT


def criterion_of(method):
    return None if method in ("retrain", "original") else "retain"


def mean(values):
    error = values.std(ddof=1) / math.sqrt(len(values))
    return {"mean": float(values.mean()), "error": float(error), "n": len(values)}


def min_k(method, role):
    """Scores of the attack, for single questions."""
    return np.random.default_rng([len(method), len(role)]).normal(size=N).tolist()


def record(method):
    of_roles = {role: probabilities(method, role) for role in ("forget", "retain")}
    merged = criterion_of(method) is not None
    areas = {"loss": 0.9, "zlib": 0.8, "min_k": LEVELS[method][0], "min_k_plus_plus": 0.6}
    ratios = np.random.default_rng(len(method)).uniform(0.2, 1, N)
    return {
        **{"experiment": "llama", "task": "forget10", "method": method},
        "vector": method if merged else None,
        "coefficient": 5.5 if merged else 0.0,
        "criterion": criterion_of(method),
        "keep": 0.95,
        "kind": "merge" if merged else "base",
        **{role: {"correct": p.sum(), "n": N} for role, p in of_roles.items()},
        "answers": {
            role: {
                name: mean(p * factor)
                for name, factor in (("probability", 1), ("extraction", 0.9), ("rouge", 0.8))
            }
            for role, p in of_roles.items()
        },
        "truth_ratios": ratios.tolist(),
        "utility": {"value": 0.5, "error": 0.01},
        "losses": {role: (-np.log(of_roles["forget"])).tolist() for role in ("forget", "holdout")},
        "min_k": {role: min_k(method, role) for role in ("forget", "holdout")},
        "attacks": {name: {"value": value, "error": 0.02} for name, value in areas.items()},
    }


def computed(rows=ROWS):
    images = [
        Outcomes(
            ("llama", "forget10", method),
            dict.fromkeys(("forget", "retain"), 0),
            {f"{role}_right": probabilities(method, role) for role in ("forget", "retain")},
            criterion=criterion_of(method),
        )
        for method in rows
    ]
    return cells(language_table(rows), [record(method) for method in rows], {}, images)


def test_means_over_questions_have_their_standard_error():
    frame = computed()
    for role in ("forget", "retain"):
        p = probabilities("negmerge", role)
        found = cell(frame, "negmerge", role)
        assert found["value"] == pytest.approx(100 * p.mean(), abs=1e-6)
        assert found["standard_error"] == pytest.approx(mean(100 * p)["error"], abs=1e-6)
        assert found["images"] == N
    extraction = 90 * probabilities("negmerge", "forget").mean()
    assert means(frame, "extraction")["negmerge"] == pytest.approx(extraction, abs=1e-6)
    assert means(frame, "utility")["negmerge"] == 50


def test_what_is_compared_with_retrain_is_computed_from_both_records():
    frame = computed()
    quality = forget_quality(*(record(one)["truth_ratios"] for one in ("negmerge", "retrain")))
    sides = [
        [min_k(one, role) for role in ("forget", "holdout")] for one in ("negmerge", "retrain")
    ]
    expected = {
        "quality": quality.log10, "distance": quality.distance, "privleak": privleak(0.30, 0.05),
        "auc_zlib": 80, "auc_reference": 50,
    }  # fmt: skip
    found = {name: means(frame, name)["negmerge"] for name in expected}
    assert found == pytest.approx(expected, abs=1e-6)
    assert not any(means(frame, name)["retrain"] for name in ("quality", "distance", "privleak"))
    error = cell(frame, "negmerge", "privleak")["standard_error"]
    assert error == pytest.approx(privleak_error(*sides), abs=1e-6)
    assert f"with {N}: 0.00, " in " ".join(lay_out(language_table(ROWS), frame).notes)
    # Without Retrain they are not known.
    rows = {name: label for name, label in ROWS.items() if name != "retrain"}
    frame = computed(rows)
    assert pd.isna(means(frame, "quality")["negmerge"])
    assert not frame["metric"].eq(TO_FORGET).any()
    text = markdown(lay_out(language_table(rows), frame))
    assert "forget quality" not in text
    assert "privleak" not in text


def test_rows_are_compared_question_by_question():
    frame = computed()
    # Retrain is what the others are compared with, and no rival of theirs.
    best = means(frame, "forget", "with_best")
    assert [name for name, is_best in best.items() if is_best is True] == ["negmerge"]
    assert means(frame, "forget", "p_value")["uniform"] < 0.05
    amount = frame[(frame["metric"] == TO_FORGET) & (frame["experiment"] == MEAN)].iloc[0]
    known, unseen = (probabilities(method, "forget") for method in ("original", "retrain"))
    assert amount["value"] == pytest.approx(100 * (known - unseen).mean(), abs=1e-6)
    error = (known - unseen).std() / math.sqrt(N)
    assert amount["standard_error"] == pytest.approx(100 * error, rel=1e-4)
    assert amount["p_value"] < 0.01


@pytest.mark.parametrize(("trained_on", "said"), [("all", "too."), ("choosing", "none that is")])
def test_notes_say_what_methods_that_train_have_seen(trained_on, said):
    rows = {name: ROWS[name] for name in ("original", "negmerge")}
    records = [record("original"), record("negmerge") | {"trained_on": trained_on}]
    notes = lay_out(language_table(rows), cells(language_table(rows), records, {})).notes
    (note,) = (note for note in notes if "methods that train on retain" in note)
    assert said in note


def test_facts_that_the_base_knows_are_counted_apart():
    rows = {"original": "Original", "negmerge": "NegMerge", "uniform": "Uniform"}
    known = np.arange(N) % 4 == 0
    records, items = [], []
    for method in rows:
        one = record(method)
        level = 0.8 if method == "original" else 0.2
        values = np.where(known, level, 0.01)
        one["answers"] = {
            "forget": {name: mean(values) for name in ("probability", "first", "greedy")},
            "retain": {name: mean(np.full(N, 0.4)) for name in ("probability", "first")},
        }
        del one["attacks"]
        records.append(one | {"known_at": 0.1, "perplexity": {"mean": 19.4, "error": 1, "n": 9}})
        arrays = {"forget_probability": values}
        arrays |= {f"{role}_right": probabilities(method, role) for role in ("forget", "retain")}
        place = ("llama", "forget10", method)
        items.append(Outcomes(place, {"forget": 0, "retain": 0}, arrays, criterion_of(method)))
    study = language_table(rows)
    frame = language.KIND.cells(study, records, {}, items)
    of = frame[frame["experiment"] == MEAN].set_index(["method", "metric"])["value"]
    assert of["negmerge", "known"] == pytest.approx(20)
    assert of["original", "known"] == 80
    assert of["negmerge", "unknown"] == pytest.approx(1)
    assert (of["original", "facts_known"], of["original", "facts_unknown"]) == (10, 30)
    text = markdown(lay_out(study, frame))
    assert "the base knows 10 of 40 facts to forget" in text
    assert "little to forget" in text
    assert "forget extraction strength" not in text
    assert "19.40" in text
