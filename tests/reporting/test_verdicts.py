import pytest
from reporting_examples import ROLES, ROWS, clip, gap_table, judged, net, table

from negmerge.reporting.notes import amounts, verdicts

ONE_SEED = "One seed ranks nothing beyond these images: another training may give another order."


def study(**experiments):
    scenarios = {name: "zero-shot" if name in "ab" else "classifier" for name in experiments}
    return {
        "experiments": {
            name: {"scenario": scenarios[name]} | one for name, one in experiments.items()
        }
    }


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
