import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.errors import UserError
from negmerge.evaluation.accuracy import Accuracy
from negmerge.evaluation.validation import Measured
from negmerge.selection import (
    Choice,
    Sweep,
    choose,
    read_sweep,
    select_coefficient,
    write_sweep,
)

CASES = (
    "smooth",
    "plateau_ties",
    "nonmonotone_control",
    "exactly_at_threshold",
    "none_feasible",
    "target_is_one",
    "target_u_shape",
)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("backwards", [False, True])
def test_the_choice_is_the_official_one(golden, case, backwards):
    file = golden("coef_search")
    columns = [file["grid"], file[f"{case}/target"], file[f"{case}/control"]]
    columns = [list(c[::-1] if backwards else c) for c in columns]
    threshold, expected = float(file[f"{case}/threshold"]), float(file[f"{case}/best_coef"])
    chosen = select_coefficient(*columns, control_baseline=threshold, keep=1.0)
    assert chosen == (None if math.isnan(expected) else expected)


def test_in_percent_the_choice_is_the_same(golden):
    file = golden("coef_search")
    grid, *columns = (list(file[n]) for n in ("grid", "smooth/target", "smooth/control"))
    percent = [[100 * value for value in column] for column in columns]
    threshold = float(file["smooth/threshold"])
    chosen = select_coefficient(grid, *percent, control_baseline=100 * threshold, keep=1.0)
    assert chosen == float(file["smooth/best_coef"])


def test_the_authors_sweep_of_cars_gives_their_coefficient():
    # Stored outputs of the official notebook: ViT-B/32, Cars, 30 models; percent.
    grid = [0.80, 0.85, 0.90, 0.95, 1.00]
    forget, control = [30.22, 28.62, 25.55, 24.20, 22.60], [64.16, 63.72, 63.54, 63.20, 62.74]
    assert select_coefficient(grid, forget, control, control_baseline=66.66) == 0.90


def test_95_percent_of_the_baseline_are_kept_by_default():
    arguments = ([0.0, 0.5, 1.0], [50.0, 30.0, 10.0])
    assert select_coefficient(*arguments, [100.0, 95.0, 94.9], 100.0) == 0.5
    assert select_coefficient(*arguments, [100.0, 95.0, 94.9], 100.0, keep=0.9) == 1.0
    assert select_coefficient(*arguments, [100.0, 95.0, 94.9], 100.0, keep=0.0) == 1.0


accuracies = st.integers(0, 5).map(lambda n: n / 4)
sweeps = st.lists(st.tuples(st.integers(0, 20), accuracies, accuracies), max_size=12)


@given(sweeps, accuracies, st.sampled_from([0.0, 0.5, 0.95, 1.0]))
def test_the_choice_is_its_definition(rows, baseline, keep):
    best = None
    for coefficient, forget, control in rows:
        if control < keep * baseline or forget == 1:
            continue
        if best is None or forget < best[1] or (forget == best[1] and coefficient < best[0]):
            best = (coefficient, forget)
    columns = [[row[place] for row in rows] for place in range(3)]
    assert select_coefficient(*columns, baseline, keep) == (best and best[0])


def test_uneven_lists_and_missing_numbers_are_refused():
    with pytest.raises(UserError) as caught:
        select_coefficient([0.0, 1.0], [1.0], [1.0, 2.0], 1.0)
    assert str(caught.value) == (
        "2 coefficients with 1 forget and 2 control accuracies, expected as many of each"
    )
    for numbers in (([math.nan], [1.0], 1.0), ([1.0], [math.nan], 1.0), ([1.0], [1.0], math.nan)):
        with pytest.raises(UserError, match=r"^an accuracy is not a number, so no coefficient"):
            select_coefficient([0.0], *numbers)


GRID = [0.0, 0.5, 1.0]


def test_one_vector():
    sweep = Sweep(GRID, forget=[0.5, 0.25, 0.375], control=[0.8, 0.78, 0.79])
    assert choose({"negmerge": sweep}, 0.95) == Choice(
        vector="negmerge",
        coefficient=0.5,
        forget_accuracy=25.0,
        control_accuracy=78.0,
        control_baseline=80.0,
        upper_end=False,
    )


def test_a_choice_at_the_end_of_the_grid_is_marked():
    sweep = Sweep(GRID, forget=[40.0, 20.0, 10.0], control=[80.0, 78.0, 79.0])
    assert choose({"m": sweep}, 0.95).upper_end
    assert choose({"m": Sweep([0.0], [4.0], [8.0])}, 0.95).upper_end


def test_a_vector_that_cannot_forget_leaves_the_base():
    sweep = Sweep(GRID, forget=[0.5, 0.25, 0.125], control=[0.8, 0.1, 0.1])
    choice = choose({"m": sweep}, 0.95)
    assert (choice.coefficient, choice.forget_accuracy) == (0.0, 50.0)


def test_a_model_that_is_always_right_is_left_as_it_is():
    sweep = Sweep(GRID, forget=[1.0, 1.0, 1.0], control=[0.8, 0.8, 0.8])
    choice = choose({"m": sweep}, 0.95)
    assert (choice.coefficient, choice.upper_end) == (0.0, False)


def test_several_vectors():
    control = [80.0, 80.0, 80.0]
    sweeps = {
        "m2": Sweep(GRID, [40.0, 30.0, 20.0], control),
        "m1": Sweep(GRID, [40.0, 30.0, 10.0], control),
        "m0": Sweep(GRID, [40.0, 30.0, 0.0], [80.0, 80.0, 10.0]),
    }
    assert (choose(sweeps, 0.95).vector, choose(sweeps, 0.95).coefficient) == ("m1", 1.0)
    # Equal accuracies: the smaller coefficient, then the first name.
    sweeps["m3"] = Sweep(GRID, [40.0, 10.0, 10.0], control)
    assert (choose(sweeps, 0.95).vector, choose(sweeps, 0.95).coefficient) == ("m3", 0.5)
    sweeps["m05"] = sweeps["m3"]
    assert choose(sweeps, 0.95).vector == "m05"


def test_sweeps_must_be_there_and_start_at_zero():
    with pytest.raises(UserError, match=r"^no sweeps to choose from$"):
        choose({}, 0.95)
    for sweep in (Sweep([0.5], [1.0], [1.0]), Sweep([], [], [])):
        with pytest.raises(UserError, match=r"^the sweep of m1 does not start at coefficient 0$"):
            choose({"m1": sweep}, 0.95)


LABELS = {"experiment": "e", "task": "digits", "vector": "m1-n1", "more": "left out"}


def measured(forget, control):
    return Measured({"forget": Accuracy(*forget), "control": Accuracy(*control)}, {})


def test_a_sweep_comes_back(tmp_path):
    rows = [(0.0, measured((30, 40), (1, 3))), (0.05, measured((0, 40), (2, 3)))]
    write_sweep(tmp_path / "s.csv", LABELS, rows)
    assert (tmp_path / "s.csv").read_text() == (
        "experiment,task,vector,coefficient,forget_correct,forget_n,control_correct,control_n\n"
        "e,digits,m1-n1,0.0,30,40,1,3\n"
        "e,digits,m1-n1,0.05,0,40,2,3\n"
    )
    accuracies = [0.75, 0.0], [1 / 3, 2 / 3]
    percent = {"forget": [75.0, 0.0], "control": [100 * (1 / 3), 100 * (2 / 3)]}
    expected = Sweep([0.0, 0.05], *accuracies, percent)
    assert read_sweep(tmp_path / "s.csv") == ("m1-n1", expected)


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n1,2\n", "vector,coefficient\nm,zero\n", "vector,coefficient\nm\n"],
)
def test_files_that_are_no_sweeps_are_refused(tmp_path, text):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(UserError) as caught:
        read_sweep(tmp_path / "s.csv")
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 's.csv'}: not a sweep (")
    assert message.endswith("; delete it and run again")
    assert "\n" not in message


def test_a_truncated_sweep_is_refused(tmp_path):
    write_sweep(tmp_path / "s.csv", LABELS, [(0.0, measured((30, 40), (1, 3)))])
    text = (tmp_path / "s.csv").read_text()
    (tmp_path / "s.csv").write_text(text[: -len("1,3\n")])
    with pytest.raises(UserError, match="not a sweep"):
        read_sweep(tmp_path / "s.csv")
