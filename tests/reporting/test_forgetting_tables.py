"""Tables of classifiers without Retrain, and of forgotten classes."""

import pytest
from reporting_examples import ROLES, classifier_score, compared, gap_table, lay_out, means

from negmerge.reporting.findings import columns
from negmerge.reporting.layout import markdown

CHOSEN = {
    "vector": "negmerge", "coefficient": 0.4, "criterion": "retain", "keep": 0.95,
    "upper_end": True,
}  # fmt: skip
SCORES = [
    classifier_score("net", "trial1", "retrain", 0, 200, 170, 90.0),
    classifier_score("net", "trial1", "original", 100, 200, 160, 1.0),
    classifier_score("net", "trial1", "negmerge", 40, 190, 150, 30.0, **CHOSEN),
]
FORGETTING = gap_table(kind="forgetting", rows={"original": "Original", "negmerge": "NegMerge"})


def test_without_retrain_there_are_accuracies_and_the_attack_but_no_gap():
    frame = compared(FORGETTING, SCORES[1:], ROLES)
    values = [means(frame, name)["negmerge"] for name in ("retain", "forget", "test", "mia")]
    assert values == [95, 40, 75, 30]
    assert "gap" not in set(frame["metric"])
    assert frame[["reference", "with_best"]].isna().all(axis=None)
    layout = lay_out(FORGETTING, frame)
    headings = {heading.text: heading.better for heading in layout.headings}
    assert headings["retain accuracy"] == headings["test accuracy"] == "higher"
    assert headings["forget accuracy"] == headings["membership attack"] == ""
    # The footnote of a choice at the end of the grid stands at a number of the row.
    assert "95.00 ± 1.54 †" in markdown(layout)


@pytest.mark.parametrize("definition", [FORGETTING, gap_table()], ids=["forgetting", "gap"])
def test_test_images_of_forgotten_classes_have_a_column(definition):
    records = [one | {"forget_test": {"correct": 20, "n": 80}} for one in SCORES]
    frame = compared(definition, records, (*ROLES, "forget_test"))
    assert means(frame, "forget_test")["negmerge"] == 25
    layout = lay_out(definition, frame)
    texts = [heading.text for heading in layout.headings]
    place = texts.index("test accuracy of forgotten classes")
    assert texts[place - 1] == "test accuracy"
    assert not layout.headings[place].is_detail
    counts = "200 retain, 100 forget, 200 test and 80 forget test images"
    assert any(counts in note for note in layout.notes)
    if definition["kind"] == "gap":  # it is as without forgotten classes
        assert means(frame, "gap") == means(compared(definition, SCORES, ROLES), "gap")
        assert layout.headings[place].reference == "25.00"


def test_where_whole_classes_are_forgotten_the_lowest_forget_accuracy_is_best():
    rows = {"original": "Original", "negmerge": "NegMerge", "uniform": "Uniform Merge"}
    scores = [
        classifier_score("net", trial, method, forget, 190, 150, 30.0, **CHOSEN)
        for trial in ("trial1", "trial2")
        for method, forget in (("original", 100), ("negmerge", 40), ("uniform", 90))
    ]
    definition = gap_table(kind="classes", rows=rows)
    frame = compared(definition, scores, ROLES)
    (column,) = columns({"t": (definition, frame)})
    assert [row["method"] for row in column.rows] == ["negmerge", "uniform", "original"]
    assert [row["with_best"] for row in column.rows] == [True, False, False]
    assert column.verdict(column.row("uniform")) == "won"
    layout = lay_out(definition, frame)
    assert {h.text: h.better for h in layout.headings}["forget accuracy"] == "lower"
    # Tasks of a classifier are trials.
    assert not any("there is one seed" in note for note in layout.notes)
