import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from point_examples import points, trained

from negmerge.errors import UserError
from negmerge.selection import select_coefficient
from negmerge.selection.choice import Choice, Criterion

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
CONTROL = Criterion("control", 0.95)
RETAIN = Criterion("retain", 0.95)


def test_one_vector():
    found = points("negmerge", GRID, forget=[50, 25, 37], control=[80, 78, 79])
    assert CONTROL.choose(found) == Choice(
        vector="negmerge",
        coefficient=0.5,
        forget_accuracy=25.0,
        control_accuracy=78.0,
        control_baseline=80.0,
        lower_end=True,
        tried=2,
    )


@given(
    st.lists(st.tuples(*[st.integers(0, 100)] * 2), min_size=1, max_size=8),
    st.sampled_from([0.0, 0.5, 0.95, 1.0]),
)
def test_of_one_vector_the_choice_is_that_of_the_official_rule(rows, keep):
    grid = [number / 10 for number in range(len(rows))]
    forget, control = zip(*rows, strict=True)
    found = Criterion("control", keep).choose(points("m", grid, forget=forget, control=control))
    shares = [[value / 100 for value in column] for column in (forget, control)]
    expected = select_coefficient(grid, *shares, control[0] / 100, keep)
    assert found.coefficient == (expected or 0.0)


@pytest.mark.parametrize(
    ("forget", "coefficient", "lower", "upper"),
    [
        ([40, 30, 20, 10], 1.5, False, True),
        ([40, 30, 20, 30], 1.0, False, False),
        ([40, 30, 40, 40], 0.5, True, False),
        ([40, 50, 50, 50], 0.0, False, False),
    ],
)
def test_a_choice_at_an_end_of_the_grid_is_marked(forget, coefficient, lower, upper):
    found = points("m", [0.0, 0.5, 1.0, 1.5], forget=forget, control=[80] * 4)
    # Another vector's coefficients say nothing of this one's.
    found += points("other", [0.0, 0.1, 9.0], forget=[40, 40, 40], control=[80] * 3)
    choice = CONTROL.choose(found)
    assert (choice.coefficient, choice.lower_end, choice.upper_end) == (coefficient, lower, upper)
    assert choice.tried == 5


def test_a_vector_that_cannot_forget_leaves_the_base():
    found = points("m", GRID, forget=[50, 25, 12], control=[80, 10, 10])
    choice = CONTROL.choose(found)
    assert (choice.coefficient, choice.forget_accuracy) == (0.0, 50.0)


def test_a_model_that_is_always_right_is_left_as_it_is():
    # 80 images more are kept at another coefficient, which does not matter: nothing is forgotten.
    choice = CONTROL.choose(points("m", GRID, forget=[100] * 3, control=[80, 90, 80]))
    assert (choice.coefficient, choice.upper_end, choice.lower_end) == (0.0, False, False)


def test_several_vectors():
    control = [80] * 3
    found = [
        *points("m2", GRID, forget=[40, 30, 20], control=control),
        *points("m1", GRID, forget=[40, 30, 10], control=control),
        *points("m0", GRID, forget=[40, 30, 0], control=[80, 80, 10]),
    ]
    choice = CONTROL.choose(found)
    assert (choice.vector, choice.coefficient) == ("m1", 1.0)
    # Equal accuracies: the smaller coefficient, then the first name.
    found += points("m3", GRID, forget=[40, 10, 10], control=control)
    choice = CONTROL.choose(found)
    assert (choice.vector, choice.coefficient) == ("m3", 0.5)
    found += points("m05", GRID, forget=[40, 10, 10], control=control)
    assert CONTROL.choose(found).vector == "m05"


def test_a_rule_chooses_among_its_own_points_only():
    found = points("m", GRID, forget=[40, 30, 30], control=[80] * 3)
    found += points("m", [0.75], rules=("gap",), forget=[1], control=[80])
    choice = CONTROL.choose(found)
    assert (choice.coefficient, choice.tried) == (0.5, 2)


BASE = points("original", [0.0], forget=[99], retain=[99])


def test_a_trained_model_is_chosen_or_the_base():
    rates = {0.001: (99, 99), 0.01: (80, 98), 0.1: (10, 20)}
    found = [trained(f"lr{lr}", *counts, lr=lr) for lr, counts in rates.items()]
    choice = RETAIN.choose(BASE + found)
    assert (choice.vector, choice.coefficient, choice.tried) == ("lr0.01", 1.0, 3)
    assert (choice.lower_end, choice.upper_end) == (False, False)
    choice = RETAIN.choose(BASE + found[::2])
    assert (choice.vector, choice.coefficient) == ("original", 0.0)


def test_the_end_of_an_option_is_marked_where_it_has_three_values():
    found = [
        trained(
            f"{lr} {epochs}", 90 - epochs if lr == 0.01 else 95, 99, lr=lr, epochs=float(epochs)
        )
        for lr in (0.01, 0.1, 1.0)
        for epochs in (5, 10)
    ]
    choice = RETAIN.choose(BASE + found)
    assert (choice.vector, choice.lower_end, choice.upper_end) == ("0.01 10", True, False)


def test_what_diverged_is_never_chosen_but_says_how_far_was_tried():
    rates = {0.001: (99, 99), 0.01: (80, 98), 0.1: (None, None)}
    found = [trained(f"lr{lr}", *counts, lr=lr) for lr, counts in rates.items()]
    choice = RETAIN.choose(BASE + found)
    assert (choice.vector, choice.upper_end) == ("lr0.01", False)
    assert (choice.tried, choice.diverged) == (3, ["lr0.1"])


def test_where_all_diverged_nothing_is_chosen():
    choice = RETAIN.choose([*BASE, trained("lr9", None, None, lr=9.0)])
    assert (choice.vector, choice.coefficient, choice.tried) == (None, 0.0, 1)
    assert choice.control_baseline == 99
    labels = {"experiment": "a", "task": "b", "method": "c"}
    assert choice.record(labels, "retain", {})["unchanged"] is False


def test_the_base_has_the_name_of_a_vector_that_did_not_diverge():
    m1 = points("m1", [0, 0.5], forget=[90, 95], control=[90, 90])
    a0 = [replace(m1[0], vector="a0"), replace(m1[1], vector="a0", accuracy={})]
    choice = CONTROL.choose([*a0, *m1])
    assert (choice.vector, choice.coefficient, choice.diverged) == ("m1", 0.0, ["a0"])


def test_the_base_must_have_been_measured():
    with pytest.raises(UserError) as caught:
        CONTROL.choose(points("m1", [0.5], forget=[1], control=[1]))
    assert str(caught.value) == (
        "1 measured candidates, none at coefficient 0: expected the base too"
    )
