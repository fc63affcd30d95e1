import pytest
from reporting_examples import ROLES, ROWS, clip, gap_table, judged, net, table

from negmerge.reporting.cells import cells
from negmerge.reporting.notes import amounts, spell_p, verdicts

ONE_SEED = "One seed ranks nothing beyond these images: another training may give another order."


def study(**experiments):
    return {"experiments": experiments}


def test_the_leading_measure_names_the_rows_that_lead():
    tables = {
        "one": judged(table(), clip()),
        "two": judged(gap_table(rows=ROWS), net("trial1"), ROLES),
    }
    first, second = verdicts(tables)
    assert (first.table, first.column, first.measure) == ("Forgetting", "B/32", "forget accuracy")
    # The best comes first.
    assert (first.best, first.rows) == (["Uniform Merge", "NegMerge"], 3)
    assert (second.measure, second.best, second.rows) == ("average gap", ["NegMerge"], 3)


def test_where_there_is_little_to_forget_no_row_leads():
    tables = {"two": judged(gap_table(rows=ROWS), net("trial1", retrain=97), ROLES)}
    (verdict,) = verdicts(tables)
    assert (verdict.best, verdict.rows) == ([], 3)
    (text,) = amounts(study(net={"trials": 2}), tables)["net"]
    assert text == (
        "trial1: Original has 100.00 % of the forget images right, Retrain 97.00 %, which leaves "
        "3.00 ± 1.71 points to forget (paired, p = 0.250), too little for any row to rank: "
        "less than 5 points, or not told apart from none."
    )


def test_tables_of_other_kinds_and_without_outcomes_have_no_verdict():
    record = {"experiment": "a", "task": "digits", "method": "negmerge", "models": 4}
    record |= {"kept": 25, "trainable": 100, "state": 250}
    definition = table(kind="sparsity", rows={"negmerge": "NegMerge"})
    tables = {
        "zeros": (definition, cells(definition, [record], {})),
        "scores": (table(), cells(table(), clip(), {})),
    }
    assert verdicts(tables) == []
    assert amounts(study(a={"mode": "standard"}, b={}), tables) == {
        "a": ["How much there is to forget is not known.", ONE_SEED]
    }


def test_each_experiment_says_how_much_there_is_to_forget_in_each_task():
    two = [one | {"task": "letters"} for one in clip()]
    tables = {
        "one": judged(table(), [*clip(), *two]),
        "again": judged(table(column={"tasks": ["digits"]}), clip()),
        "two": judged(gap_table(rows=ROWS), [*net("trial1"), *net("trial2")], ROLES),
    }
    found = amounts(study(a={"tasks": ["digits"]}, net={"trials": 2}), tables)
    assert found["a"] == [
        *(
            f"{task}: the base has 80.00 % of the forget images right, guessing 10.00 %, which "
            "leaves 70.00 ± 2.83 points to forget (p < 0.001)."
            for task in ("digits", "letters")
        ),
        ONE_SEED,
    ]
    assert [text.partition(":")[0] for text in found["net"]] == ["trial1", "trial2"]


@pytest.mark.parametrize(
    ("other", "is_alone"), [({"seed": 1}, False), ({"seed": 1, "mode": "linear"}, True)]
)
def test_an_experiment_with_another_seed_is_another_trial(other, is_alone):
    tables = {"one": judged(table(), clip())}
    found = amounts(
        study(a={"seed": None, "mode": "standard"}, b={"mode": "standard"} | other), tables
    )
    assert (ONE_SEED in found["a"]) == is_alone


def test_p_is_spelled_with_three_digits():
    assert [spell_p(p) for p in (0.0, 0.0009, 0.001, 0.0504, 1)] == [
        "p < 0.001", "p < 0.001", "p = 0.001", "p = 0.050", "p = 1.000"
    ]  # fmt: skip
