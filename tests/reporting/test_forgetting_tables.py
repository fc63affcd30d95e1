"""Tables of classifiers without Retrain, and of forgotten classes."""

import pytest
from reporting_examples import classifier_score, gap_table, lay_out, means, outcomes

from negmerge.reporting.cells import cells
from negmerge.reporting.layout import markdown

ROWS = {"original": "Original", "negmerge": "NegMerge"}
ROLES = ("forget", "retain", "test", "forget_test")
CHOSEN = {
    "vector": "negmerge", "coefficient": 0.4, "criterion": "retain", "keep": 0.95,
    "upper_end": True,
}  # fmt: skip


def scores(**changes):
    return [
        classifier_score("net", "trial1", "retrain", 0, 200, 170, 90.0, **changes),
        classifier_score("net", "trial1", "original", 100, 200, 160, 1.0, **changes),
        classifier_score("net", "trial1", "negmerge", 40, 190, 150, 30.0, **changes, **CHOSEN),
    ]


def forgetting(**changes):
    return gap_table(kind="forgetting", rows=ROWS, **changes)


def test_without_retrain_there_are_accuracies_and_the_attack_but_no_gap():
    records = scores()[1:]
    frame = cells(forgetting(), records, {}, [outcomes(one, ROLES[:3]) for one in records])
    values = {name: means(frame, name)["negmerge"] for name in ("retain", "forget", "test", "mia")}
    assert list(values.values()) == [95, 40, 75, 30]
    assert "gap" not in set(frame["metric"])
    assert frame["reference"].isna().all()
    assert frame["with_best"].isna().all()
    layout = lay_out(forgetting(), frame)
    headings = {heading.text: heading.better for heading in layout.headings}
    assert headings["retain accuracy"] == headings["test accuracy"] == "higher"
    assert headings["forget accuracy"] == headings["membership attack"] == ""
    assert not any("gap" in text for text in headings)
    # The footnote of a choice at the end of the grid stands at a number of the row.
    assert "95.00 ± 1.54 †" in markdown(layout)


@pytest.mark.parametrize("definition", [forgetting(), gap_table()], ids=["forgetting", "gap"])
def test_test_images_of_forgotten_classes_have_a_column(definition):
    records = [one | {"forget_test": {"correct": 20, "n": 80}} for one in scores()]
    frame = cells(definition, records, {}, [outcomes(one, ROLES) for one in records])
    assert means(frame, "forget_test")["negmerge"] == 25
    layout = lay_out(definition, frame)
    texts = [heading.text for heading in layout.headings]
    place = texts.index("test accuracy of forgotten classes")
    assert texts[place - 1] == "test accuracy"
    assert not layout.headings[place].is_detail
    counts = "200 retain, 100 forget, 200 test and 80 forget test images"
    assert any(counts in note for note in layout.notes)
    if definition["kind"] == "gap":  # it is as without forgotten classes
        alone = cells(definition, scores(), {}, [outcomes(one, ROLES[:3]) for one in scores()])
        assert means(frame, "gap") == means(alone, "gap")
        assert layout.headings[place].reference == "25.00"
