"""Tables of kind `mask`: scores beside the shares of numbers, in both scenarios."""

import pandas as pd
import pytest
from reporting_examples import cell, classifier_score, gap_table, lay_out, means, score, table

from negmerge.errors import UserError
from negmerge.reporting.cells import cells
from negmerge.reporting.layout import markdown
from negmerge.reporting.tables.mask import join
from negmerge.reporting.tables.sparsity import KIND as SPARSITY

ROWS = {"uniform": "all", "negmerge": "agreeing", "task-arithmetic": "single best"}
VOTES = {"nonzero_in_all": 80, "agreeing": 20, "trainable": 100, "state": 250, "models": 4}


def counts(experiment, task, method, kept, shrinking, **changes):
    """A record as the rule `sparsity` writes it."""
    labels = {"experiment": experiment, "task": task, "method": method}
    return labels | VOTES | {"kept": kept, "shrinking": shrinking} | changes


@pytest.fixture
def records():
    found = []
    for task, more in (("digits", 0), ("letters", 10)):
        for method, forget, kept, shrinking in (
            ("uniform", 60, 100, 50),
            ("negmerge", 40, 20 + more, 15),
            ("task-arithmetic", 80, 90, 45),
        ):
            found.append(counts("a", task, method, kept, shrinking, agreeing=20 + more))
            found.append(score("a", task, method, forget, 150, upper_end=method == "uniform"))
    return found


def mask_table(**changes):
    return table(kind="mask", title="What the mask does", rows=ROWS, **changes)


def printed(records, definition):
    return lay_out(definition, cells(definition, join(records), {}))


def test_scores_stand_beside_the_shares_of_numbers(records):
    shown = printed(records, mask_table(column={"tasks": ["digits"]}))
    texts = [heading.text for heading in shown.headings]
    assert texts[2:] == ["numbers kept, of the trainable", "of them shrink the base", "choice"]
    (agreeing,) = [row for row in shown.rows if row[0] == "agreeing"]
    assert agreeing[1].startswith("20.00 ± ")
    assert agreeing[3:] == ["20.00", "75.00", "0.50"]
    notes = " ".join(shown.notes)
    assert "B/32: of the 80 trainable numbers" in notes
    assert "25.00 % have one sign in all; by chance it would be 12.5 % = 2^(1 - 4)." in notes
    assert "31.25 % have one sign in all (means);" in " ".join(printed(records, mask_table()).notes)


def test_the_csv_holds_the_votes_too(records):
    frame = cells(mask_table(), join(records), {})
    assert cell(frame, "negmerge", "agreement", "digits")["value"] == 25
    assert cell(frame, "negmerge", "agreement")["value"] == pytest.approx((25 + 37.5) / 2)
    assert cell(frame, "uniform", "nonzero_in_all")["value"] == 80
    assert cell(frame, "negmerge", "shrinking")["value"] == pytest.approx((75 + 50) / 2)
    assert pd.isna(cell(frame, "negmerge", "shrinking")["standard_error"])


@pytest.fixture
def classifier():
    """A trial, chosen by two criteria; the second chose another single vector."""
    chosen = {"coefficient": 0.4, "criterion": "retain", "keep": 0.95, "vector": "x"}
    by_gap = chosen | {"criterion": "gap", "coefficient": 0.2}
    at = ("net", "trial1")
    return [
        classifier_score(*at, "retrain", 80, 200, 160, 20.0),
        classifier_score(*at, "negmerge", 86, 196, 156, 14.0, **chosen),
        classifier_score(*at, "negmerge", 82, 200, 160, 20.0, **by_gap),
        classifier_score(*at, "task-arithmetic", 90, 196, 156, 14.0, **chosen),
        classifier_score(*at, "task-arithmetic", 84, 196, 156, 14.0, **by_gap),
        counts(*at, "negmerge", 20, 15),
        counts(*at, "task-arithmetic", 90, 45, criterion="retain"),
        counts(*at, "task-arithmetic", 80, 60, criterion="gap"),
    ]


def classifier_table(**column):
    rows = {"negmerge": "agreeing", "task-arithmetic": "single best"}
    return gap_table(kind="mask", rows=rows, column=column)


def test_of_a_classifier_the_gap_and_its_parts_are_shown(classifier):
    shown = printed(classifier, classifier_table())
    assert [heading.text for heading in shown.headings[:5]] == [
        "retain accuracy", "forget accuracy", "test accuracy", "membership attack", "average gap",
    ]  # fmt: skip
    assert shown.rows[0][5:] == ["4.00", "20.00", "75.00", "0.40"]
    assert "best: NA" not in markdown(shown)
    # What a further criterion chose has the counts of its vector.
    frame = cells(classifier_table(criterion="gap"), join(classifier), {})
    assert cell(frame, "negmerge", "gap")["value"] == pytest.approx(0.5)
    kept = {"negmerge": 20, "task-arithmetic": 80}
    assert means(frame, "kept_trainable") == kept


def test_a_single_vector_that_was_not_counted_is_an_error(classifier):
    single = [one for one in classifier if one["method"] == "task-arithmetic"]
    by_main, by_gap, counted, counted_by_gap = single
    by_main["kind"] = by_gap["kind"] = "single"
    del counted["criterion"]
    assert join([by_main, by_gap, counted])[1]["kept"] == 90
    by_gap["vector"] = "y"
    with pytest.raises(
        UserError, match=r"trial1/task-arithmetic: criterion gap chose 'y', but the"
    ):
        join([by_main, by_gap, counted])
    assert join([by_main, by_gap, counted, counted_by_gap])[1]["kept"] == 80


def test_counts_that_are_missing_are_named(records):
    with pytest.raises(UserError, match="a/digits/uniform: the numbers kept, of the trainable"):
        printed(records[1:], mask_table())


def test_experiments_of_two_scenarios_stand_side_by_side(records, classifier):
    columns = [*mask_table()["columns"], *classifier_table(label="net")["columns"]]
    definition = mask_table(columns=columns) | {"rows": classifier_table()["rows"]}
    notes = printed([*records, *classifier], definition).notes
    for start in ("B/32: criterion `control` chooses", "net: criterion `retain` chooses"):
        assert any(note.startswith(start) for note in notes)


def test_zeros_are_also_counted_in_as_many_numbers_as_the_files_of_others_hold():
    record = counts("a", "digits", "negmerge", 20, 15)
    definition = table(kind="sparsity", rows={"negmerge": "NegMerge"}, column={"whole": 400})
    zeros = means(SPARSITY.cells(definition, [record], {}), "zeros_files")
    assert zeros == {"negmerge": 95.0}
