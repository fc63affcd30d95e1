import math

import numpy as np
import pytest
from reporting_examples import classifier_score, gap_table, lay_out, outcomes, score

from negmerge.errors import UserError
from negmerge.evaluation.uncertainty import mcnemar
from negmerge.reporting.cells import cells
from negmerge.reporting.compare import amount
from negmerge.reporting.layout import markdown
from negmerge.scenarios.classifier.scenario import SCENARIO as CLASSIFIER
from negmerge.scenarios.zero_shot.scenario import SCENARIO as ZERO_SHOT

ROLES = ("forget", "retain", "test")


def classifiers(original, retrain, trial=1):
    return [
        classifier_score("net", f"trial{trial}", "original", original, 200, 162, 0.0),
        classifier_score("net", f"trial{trial}", "retrain", retrain, 200, 160, 20.0),
        classifier_score("net", f"trial{trial}", "negmerge", retrain + 2, 198, 160, 18.0),
    ]


def by_place(scores, roles=ROLES, **right):
    found = [outcomes(one, roles, **right) for one in scores]
    return {one.place: one for one in found}


def test_a_classifier_is_compared_with_retrain_on_the_same_images():
    known = by_place(classifiers(100, 85))
    found = amount(CLASSIFIER, [("net", "trial1")], known)
    assert (found["value"], found["reference"]) == (pytest.approx(15), pytest.approx(85))
    # 15 images for the one and none for the other.
    assert found["standard_error"] == pytest.approx(100 * math.sqrt(15 - 15**2 / 100) / 100)
    assert found["p_value"] == pytest.approx(2 / 2**15)
    assert (found["averaged"], found["images"]) == (1, 100)


def test_trials_are_taken_together():
    known = by_place(classifiers(98, 90)) | by_place(classifiers(96, 90, trial=2))
    places = [("net", "trial1"), ("net", "trial2")]
    found = amount(CLASSIFIER, places, known)
    first, second = (amount(CLASSIFIER, [place], known) for place in places)
    assert found["value"] == pytest.approx((8 + 6) / 2)
    errors = first["standard_error"], second["standard_error"]
    assert found["standard_error"] == pytest.approx(math.hypot(*errors) / 2)
    assert found["p_value"] == pytest.approx(mcnemar(np.ones(14), np.zeros(14)))


def test_zero_shot_is_compared_with_guessing():
    known = by_place([score("a", "digits", "pretrained", 160, 180)], ("forget", "control"))
    found = amount(ZERO_SHOT, [("a", "digits")], known)
    assert (found["value"], found["reference"]) == (pytest.approx(70), pytest.approx(10))
    assert found["standard_error"] == pytest.approx(100 * math.sqrt(0.8 * 0.2 / 200))
    assert found["p_value"] < 1e-6
    guessing = by_place([score("a", "digits", "pretrained", 20, 180)], ("forget", "control"))
    assert amount(ZERO_SHOT, [("a", "digits")], guessing)["p_value"] == 1


def test_without_the_base_it_is_not_known_and_without_retrain_an_error():
    known = by_place(classifiers(100, 85))
    assert amount(CLASSIFIER, [("net", "trial2")], known) is None
    del known["net", "trial1", "retrain"]
    with pytest.raises(UserError, match=r"^no outcomes of net/trial1/retrain"):
        amount(CLASSIFIER, [("net", "trial1")], known)


@pytest.mark.parametrize(("original", "retrain"), [(98, 94), (93, 87)])
def test_where_there_is_little_to_forget_no_row_ranks(original, retrain):
    # 4 points; and 6, but with right answers on other images.
    scores = classifiers(original, retrain)
    other = {"forget": slice(100 - retrain, 100)} if original == 93 else {}
    found = [
        outcomes(one, ROLES, **(other if one["method"] == "retrain" else {})) for one in scores
    ]
    frame = cells(gap_table(), scores, {}, found)
    assert frame["with_best"].isna().all()
    assert frame["p_value"].notna().any()
    table = lay_out(gap_table(), frame)
    assert "too little for any row to rank" in table.notes[1]
    text = markdown(table)
    assert "**" not in text.partition("\n")[2]
    assert "bold" not in text
