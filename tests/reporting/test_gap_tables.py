import pandas as pd
import pytest
from reporting_examples import cell, classifier_score, gap_table, lay_out

from negmerge.errors import UserError
from negmerge.evaluation.membership import FEATURES
from negmerge.reporting.cells import cells
from negmerge.reporting.layout import latex, markdown

CHOSEN = {"vector": "negmerge", "coefficient": 0.4, "criterion": "retain", "keep": 0.95}


def one(method, trial, forget, retain, test, mia, **changes):
    return classifier_score("net", f"trial{trial}", method, forget, retain, test, mia, **changes)


@pytest.fixture
def scores():
    """Two trials; forget and test accuracies lie on both sides of Retrain's."""
    negmerge = CHOSEN | {"data_used": "forget"}
    return [
        one("retrain", 1, 80, 200, 160, 20.0, data_used="retain", relearn=[4, 4, 5]),
        one("retrain", 2, 84, 200, 164, 16.0, data_used="retain", relearn=[4, 6, 6]),
        one("original", 1, 100, 200, 162, 0.0, data_used="-", relearn=[0, 0, 0]),
        one("original", 2, 100, 200, 162, 0.0, data_used="-", relearn=[0, 0, 0]),
        one("negmerge", 1, 86, 196, 156, 14.0, relearn=[2, 2, 3], **negmerge),
        one("negmerge", 2, 78, 196, 156, 22.0, relearn=[None, None, 2], **negmerge),
    ]


def printed(scores, **changes):
    definition = gap_table(**changes)
    return lay_out(definition, cells(definition, scores, {}))


def column(table, text):
    """Return a printed column by the beginning of its heading: texts by row label."""
    places = [n for n, heading in enumerate(table.headings, 1) if heading.text.startswith(text)]
    return {row[0]: row[places[0]] for row in table.rows}


def test_the_gap_is_that_of_the_means(scores):
    frame = cells(gap_table(), scores, {})
    # forget 82 % of both, retain 98 against 100, test 78 against 81, attack 18 of both.
    expected = {
        ("negmerge", "forget"): 82,
        ("negmerge", "gap"): (0 + 2 + 3 + 0) / 4,
        ("retrain", "gap"): 0,
        ("original", "gap"): (18 + 0 + 0 + 18) / 4,
        ("negmerge", "gap", "trial1"): (6 + 2 + 2 + 6) / 4,
        ("negmerge", "gap", "trial2"): (6 + 2 + 4 + 6) / 4,
        ("negmerge", "gap_of_trials"): (4 + 4.5) / 2,
    }
    found = {place: cell(frame, *place)["value"] for place in expected}
    assert found == pytest.approx(expected)
    # The spread of the gap is that of the trials, around their mean.
    assert cell(frame, "negmerge", "gap")["std"] == pytest.approx(0.353553)


def test_relearn_time_is_the_median_of_all_seeds_with_their_range(scores):
    table = printed(scores)
    # Of NegMerge 2, 2, 2, 3 and two that took longer.
    times = {"Retrain": "4.5 (4 to 6)", "Original": "0", "NegMerge": "2.5 (2 to longer)"}
    assert column(table, "relearn time") == times
    assert "the range of 6 runs" in " ".join(table.notes)
    frame = cells(gap_table(), scores, {})
    assert cell(frame, "negmerge", "relearn", "trial1")["value"] == 2
    assert pd.isna(cell(frame, "negmerge", "relearn")["std"])
    longer = cell(frame, "negmerge", "relearn", "trial2")
    assert (longer["lowest"], longer["runs"]) == (2, 3)
    assert pd.isna([longer["value"], longer["highest"]]).all()


def test_data_used_and_choice(scores):
    trained = {"kind": "unlearn", "criterion": "retain", "keep": 0.95, "data_used": "retain"}
    for trial, rate in ((1, 0.01), (2, 0.05)):
        model = {"vector": f"learning_rate{rate}", "coefficient": 1.0}
        scores.append(one("salun", trial, 90, 200, 160, 9.0, **trained, **model))
        # Nothing did better than the model as it was; the data are still the method's.
        alone = {"vector": "original", "coefficient": 0.0, "unchanged": True}
        scores.append(one("ssd", trial, 100, 200, 162, 0.0, **trained, **alone))
    methods = ("retrain", "original", "negmerge", "salun", "ssd")
    table = printed(scores, rows={name: name for name in methods})
    # Of 100 forget and 200 retain images.
    data = ("retain (67 %)", "-", "forget (33 %)", "retain (67 %)", "retain (67 %)")
    assert column(table, "data used") == dict(zip(methods, data, strict=True))
    choices = ("-", "-", "0.40", "learning_rate0.01, learning_rate0.05", "-")
    assert column(table, "choice") == dict(zip(methods, choices, strict=True))
    assert column(table, "forget")["ssd"] == "100.00 ± 0.00 ¶"
    assert [table.headings[place].text for place in (0, -1)] == ["data used", "choice"]
    text = markdown(table)
    assert "forget accuracy (%, best: 82.00) |" in text
    assert "average gap (points, lower is better) |" in text
    assert r"forget accuracy (\%) $\to$ 82.00" in latex(table)


def test_every_feature_of_the_attack_stands_in_the_csv_under_its_name(scores):
    scores[4]["membership"] = {name: float(n) for n, name in enumerate(FEATURES)}
    frame = cells(gap_table(), scores, {})
    for number, name in enumerate(FEATURES):
        metric = "mia" if name == "confidence" else f"mia_{name}"
        assert cell(frame, "negmerge", metric, "trial1")["value"] == number


def test_a_column_with_a_criterion_shows_what_that_chose(scores):
    chosen = CHOSEN | {"criterion": "gap", "coefficient": 0.2}
    scores += [one("negmerge", n, 81, 200, 162, 18.0, data_used="forget", **chosen) for n in (1, 2)]
    by_gap = gap_table(column={"label": "by gap", "criterion": "gap"})
    both = gap_table(columns=[*gap_table()["columns"], *by_gap["columns"]])
    frame = cells(both, scores, {})
    assert cell(frame, "negmerge", "forget", column="net")["value"] == 82
    other = cell(frame, "negmerge", "forget", column="by gap")
    assert (other["value"], other["coefficient"], other["criterion"]) == (81, "0.2 0.2", "gap")
    # What was not chosen anew stands there as it is.
    assert cell(frame, "original", "forget", column="by gap")["value"] == 100
    notes = lay_out(both, frame).notes
    for start in ("net: criterion `retain` chooses", "by gap: criterion `gap` chooses"):
        assert any(note.startswith(start) for note in notes)
    # What another criterion chose is not shown instead.
    with pytest.raises(UserError, match=r"no record of net/trial1/negmerge by criterion gap$"):
        cells(by_gap, scores[:-2], {})
