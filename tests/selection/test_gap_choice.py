import pytest
from hypothesis import given
from hypothesis import strategies as st
from point_examples import points

from negmerge.errors import UserError
from negmerge.selection.choice import Choice, Criterion, load_criteria, write_points

GRID = [0.0, 0.5, 1.0]
NAMES = ("forget", "retain", "test", "mia")
RETRAIN = {"forget": 80.0, "retain": 100.0, "test": 80.0, "mia": 20.0}
GAP = Criterion("gap", 0.95, RETRAIN)


def sweep(forget, retain, test, mia, name="m", grid=GRID):
    return points(name, grid, mia=mia, forget=forget, retain=retain, test=test)


def test_the_model_closest_to_retrain_is_chosen():
    # Gaps: (20 + 0 + 0 + 20) / 4, (4 + 4 + 0 + 8) / 4, and more.
    one = sweep([100, 84, 20], [100, 96, 90], [80, 80, 60], [0, 12, 90])
    assert GAP.choose(one) == Choice(
        vector="m",
        coefficient=0.5,
        forget_accuracy=84.0,
        control_accuracy=96.0,
        control_baseline=100.0,
        lower_end=True,
        tried=2,
        gap=4.0,
    )


def test_forgetting_more_than_retrain_is_not_better():
    one = sweep([90, 80, 10], [100] * 3, [80] * 3, [20] * 3)
    assert GAP.choose(one).coefficient == 0.5
    assert Criterion("retain", 0.95).choose(one).coefficient == 1.0


def test_equal_gaps_go_to_the_smaller_coefficient_and_then_to_the_first_name():
    flat = [100] * 3, [80] * 3, [20] * 3
    late = [100, 90, 84]
    # As far below Retrain as the other is above it.
    early = [100, 76, 60]
    assert GAP.choose(sweep(late, *flat, "a") + sweep(early, *flat, "b")).vector == "b"
    three = (*sweep(early, *flat, "c"), *sweep(early, *flat, "b"), *sweep(late, *flat, "a"))
    found = GAP.choose(three)
    assert (found.vector, found.coefficient, found.gap) == ("b", 0.5, 1.0)
    assert GAP.choose(sweep([84, 84, 76], *flat)).coefficient == 0.0


values = st.lists(st.integers(0, 4).map(lambda n: 25 * n), min_size=3, max_size=3)
columns = st.tuples(*[values] * 4)


@given(st.dictionaries(st.sampled_from("abcd"), columns, min_size=1), columns)
def test_the_choice_is_its_definition(found, reference):
    retrain = {name: float(column[0]) for name, column in zip(NAMES, reference, strict=True)}
    best = None
    for place, coefficient in enumerate(GRID):
        for name in sorted(found):
            measures = dict(zip(NAMES, found[name], strict=True))
            gap = sum(abs(measures[key][place] - retrain[key]) for key in NAMES) / 4
            if best is None or gap < best[0]:
                best = (gap, coefficient, name)
    sweeps = [point for name, column in found.items() for point in sweep(*column, name)]
    choice = Criterion("gap", 0.95, retrain).choose(sweeps)
    assert (choice.gap, choice.coefficient, choice.vector) == best


def test_other_measures_than_retrain_s_are_an_error():
    one = sweep([1] * 3, [1] * 3, [1] * 3, [1] * 3)
    less = {name: value for name, value in RETRAIN.items() if name != "mia"}
    with pytest.raises(UserError, match=r"^average gap: mia missing from the reference$"):
        Criterion("gap", 0.95, less).choose(one)
    fewer = points("m", GRID, forget=[1] * 3, retain=[1] * 3)
    with pytest.raises(UserError, match=r"^average gap: mia, test missing from the scores$"):
        GAP.choose(fewer)


def test_retrain_s_measures_are_read_for_the_rules_that_need_them(tmp_path):
    path = tmp_path / "retrain.csv"
    (retrain,) = sweep([80], [100], [80], [20], "retrain", [1.0])
    write_points(path, {"experiment": "e", "task": "trial1"}, [retrain])
    gap, retain = load_criteria(["gap", "retain"], 0.9, [path])
    assert (gap.reference, gap.keep, retain.name) == (RETRAIN, 0.9, "retain")
    assert load_criteria(["control"], 0.95, []) == [Criterion("control", 0.95)]
