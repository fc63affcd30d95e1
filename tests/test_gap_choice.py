from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.errors import UserError
from negmerge.evaluation.accuracy import Accuracy
from negmerge.evaluation.validation import Measured
from negmerge.selection import Choice, Sweep, choose, choose_by_gap, read_sweep, write_sweep

GRID = [0.0, 0.5, 1.0]
NAMES = ("forget", "retain", "test", "mia")


def sweep(forget, retain, test, mia, grid=GRID):
    measures = {"forget": forget, "retain": retain, "test": test, "mia": mia}
    shares = ([value / 100 for value in values] for values in (forget, retain))
    return Sweep(grid, *shares, measures)


RETRAIN = {"forget": 80.0, "retain": 100.0, "test": 80.0, "mia": 20.0}


def test_the_model_closest_to_retrain_is_chosen():
    one = sweep([100.0, 84.0, 20.0], [100.0, 96.0, 90.0], [80.0, 80.0, 60.0], [0.0, 12.0, 90.0])
    # Gaps: (20 + 0 + 0 + 20) / 4, (4 + 4 + 0 + 8) / 4, and more.
    assert choose_by_gap({"m": one}, RETRAIN) == Choice(
        vector="m",
        coefficient=0.5,
        forget_accuracy=84.0,
        control_accuracy=96.0,
        control_baseline=100.0,
        upper_end=False,
        gap=4.0,
    )


def test_forgetting_more_than_retrain_is_not_better():
    one = sweep([90.0, 80.0, 10.0], [100.0] * 3, [80.0] * 3, [20.0] * 3)
    assert choose_by_gap({"m": one}, RETRAIN).coefficient == 0.5
    assert choose({"m": one}, 0.95).coefficient == 1.0


def test_a_choice_at_the_end_of_the_grid_is_marked():
    one = sweep([100.0, 90.0, 81.0], [100.0] * 3, [80.0] * 3, [20.0] * 3)
    found = choose_by_gap({"m": one}, RETRAIN)
    assert (found.coefficient, found.upper_end, found.gap) == (1.0, True, 0.25)


def test_equal_gaps_go_to_the_smaller_coefficient_and_then_to_the_first_name():
    flat = [100.0] * 3, [80.0] * 3, [20.0] * 3
    late = sweep([100.0, 90.0, 84.0], *flat)
    # As far below Retrain as the other is above it.
    early = sweep([100.0, 76.0, 60.0], *flat)
    assert choose_by_gap({"a": late, "b": early}, RETRAIN).vector == "b"
    found = choose_by_gap({"c": early, "b": early, "a": late}, RETRAIN)
    assert (found.vector, found.coefficient, found.gap) == ("b", 0.5, 1.0)
    assert choose_by_gap({"a": sweep([84.0, 84.0, 76.0], *flat)}, RETRAIN).coefficient == 0.0


values = st.lists(st.integers(0, 4).map(lambda n: 25.0 * n), min_size=3, max_size=3)
sweeps = st.builds(sweep, values, values, values, values)


@given(st.dictionaries(st.sampled_from("abcd"), sweeps, min_size=1), st.tuples(*[values] * 4))
def test_the_choice_is_its_definition(found, reference):
    retrain = {name: column[0] for name, column in zip(NAMES, reference, strict=True)}
    best = None
    for place, coefficient in enumerate(GRID):
        for name in sorted(found):
            measures = found[name].measures
            gap = sum(abs(measures[key][place] - retrain[key]) for key in NAMES) / 4
            if best is None or gap < best[0]:
                best = (gap, coefficient, name)
    choice = choose_by_gap(found, retrain)
    assert (choice.gap, choice.coefficient, choice.vector) == best
    assert choice.control_baseline == found[choice.vector].measures["retain"][0]


def test_other_measures_than_retrain_s_are_an_error():
    one = sweep([1.0] * 3, [1.0] * 3, [1.0] * 3, [1.0] * 3)
    more = replace(one, measures=one.measures | {"relearn": [1.0] * 3})
    with pytest.raises(UserError, match=r"^average gap: relearn missing from the reference$"):
        choose_by_gap({"m": more}, RETRAIN)
    less = {name: value for name, value in RETRAIN.items() if name != "mia"}
    with pytest.raises(UserError, match=r"^average gap: mia missing from the reference$"):
        choose_by_gap({"m": one}, less)
    fewer = replace(one, measures={"forget": [1.0] * 3})
    with pytest.raises(
        UserError, match=r"^average gap: mia, retain, test missing from the scores$"
    ):
        choose_by_gap({"m": fewer}, RETRAIN)


def test_sweeps_must_be_there_and_start_at_zero():
    with pytest.raises(UserError, match=r"^no sweeps to choose from$"):
        choose_by_gap({}, RETRAIN)
    one = sweep([1.0], [1.0], [1.0], [1.0], grid=[0.5])
    with pytest.raises(UserError, match=r"^the sweep of m1 does not start at coefficient 0$"):
        choose_by_gap({"m1": one}, RETRAIN)


LABELS = {"experiment": "e", "task": "trial1", "vector": "negmerge"}


def measured(forget, retain, test, mia):
    counts = {"forget": (forget, 10), "retain": (retain, 40), "test": (test, 30)}
    return Measured({role: Accuracy(*pair) for role, pair in counts.items()}, {"mia": mia})


def test_a_sweep_with_further_measures_comes_back(tmp_path):
    path = tmp_path / "s.csv"
    write_sweep(path, LABELS, [(0.0, measured(10, 40, 24, 0.1)), (1.0, measured(7, 38, 23, 1 / 3))])
    assert path.read_text() == (
        "experiment,task,vector,coefficient,forget_correct,forget_n,retain_correct,retain_n,"
        "test_correct,test_n,mia\n"
        "e,trial1,negmerge,0.0,10,10,40,40,24,30,0.1\n"
        "e,trial1,negmerge,1.0,7,10,38,40,23,30,0.3333333333333333\n"
    )
    name, found = read_sweep(path)
    assert name == "negmerge"
    assert (found.coefficients, found.forget, found.control) == ([0, 1], [1, 0.7], [1, 38 / 40])
    assert found.measures == {
        "forget": [100.0, 70.0],
        "retain": [100.0, 95.0],
        "test": [100 * (24 / 30), 100 * (23 / 30)],
        "mia": [0.1, 1 / 3],
    }


def test_what_was_written_can_be_chosen_from(tmp_path):
    path = tmp_path / "s.csv"
    write_sweep(path, LABELS, [(0.0, measured(10, 40, 24, 0.0)), (1.0, measured(8, 40, 24, 20.0))])
    name, found = read_sweep(path)
    choice = choose_by_gap({name: found}, RETRAIN)
    assert (choice.vector, choice.coefficient, choice.gap) == ("negmerge", 1.0, 0.0)


@pytest.mark.parametrize("kept", [(), ("control", "retain")])
def test_a_sweep_has_one_role_to_keep(tmp_path, kept):
    roles = dict.fromkeys(("forget", *kept), Accuracy(1, 2))
    write_sweep(tmp_path / "s.csv", LABELS, [(0.0, Measured(roles, {}))])
    with pytest.raises(UserError, match="not a sweep"):
        read_sweep(tmp_path / "s.csv")


def test_a_further_measure_that_is_no_number_is_refused(tmp_path):
    path = tmp_path / "s.csv"
    write_sweep(path, LABELS, [(0.0, measured(10, 40, 24, 0.5))])
    path.write_text(path.read_text().replace(",0.5\n", ",much\n"))
    with pytest.raises(UserError, match=r"s.csv: not a sweep \(.*'much'"):
        read_sweep(path)
