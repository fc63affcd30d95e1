"""Criteria that choose among measured points, and the files that hold those."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from point_examples import points, trained

from negmerge.errors import UserError
from negmerge.evaluation.outcomes import Accuracy
from negmerge.selection import select_coefficient
from negmerge.selection.choice import Choice, Criterion, load_criteria, read_points, write_points

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


def test_the_authors_sweep_of_cars_gives_their_coefficient():
    # Stored outputs of the official notebook: ViT-B/32, Cars, 30 models; percent.
    grid = [0.80, 0.85, 0.90, 0.95, 1.00]
    forget, control = [30.22, 28.62, 25.55, 24.20, 22.60], [64.16, 63.72, 63.54, 63.20, 62.74]
    assert select_coefficient(grid, forget, control, control_baseline=66.66) == 0.90


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


GRID = [0.0, 0.5, 1.0]
CONTROL = Criterion("control", 0.95)
RETAIN = Criterion("retain", 0.95)


@given(
    st.lists(st.tuples(*[st.integers(0, 100)] * 2), min_size=1, max_size=8),
    st.sampled_from([0.0, 0.5, 0.95, 1.0]),
)
def test_of_one_vector_the_choice_is_that_of_the_official_rule(rows, keep):
    grid = [number / 10 for number in range(len(rows))]
    forget, control = zip(*rows, strict=True)
    choice = Criterion("control", keep).choose(points("m", grid, forget=forget, control=control))
    shares = [[value / 100 for value in column] for column in (forget, control)]
    expected = select_coefficient(grid, *shares, control[0] / 100, keep)
    assert choice.coefficient == (expected or 0.0)


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
    swept = points("m", [0.0, 0.5, 1.0, 1.5], forget=forget, control=[80] * 4)
    # Another vector's coefficients say nothing of this one's.
    swept += points("other", [0.0, 0.1, 9.0], forget=[40, 40, 40], control=[80] * 3)
    choice = CONTROL.choose(swept)
    assert (choice.coefficient, choice.lower_end, choice.upper_end) == (coefficient, lower, upper)
    assert choice.tried == 5


def test_several_vectors():
    control = [80] * 3
    candidates = [
        *points("m2", GRID, forget=[40, 30, 20], control=control),
        *points("m1", GRID, forget=[40, 30, 10], control=control),
        *points("m0", GRID, forget=[40, 30, 0], control=[80, 80, 10]),
    ]
    choice = CONTROL.choose(candidates)
    assert (choice.vector, choice.coefficient) == ("m1", 1.0)
    # Equal accuracies: the smaller coefficient, then the first name.
    candidates += points("m3", GRID, forget=[40, 10, 10], control=control)
    choice = CONTROL.choose(candidates)
    assert (choice.vector, choice.coefficient) == ("m3", 0.5)
    candidates += points("m05", GRID, forget=[40, 10, 10], control=control)
    assert CONTROL.choose(candidates).vector == "m05"


def test_a_criterion_chooses_among_its_own_points_only():
    swept = points("m", GRID, forget=[40, 30, 30], control=[80] * 3)
    swept += points("m", [0.75], criteria=("gap",), forget=[1], control=[80])
    choice = CONTROL.choose(swept)
    assert (choice.coefficient, choice.tried) == (0.5, 2)


BASE = points("original", [0.0], forget=[99], retain=[99])


def test_a_trained_model_is_chosen_or_the_base():
    rates = {0.001: (99, 99), 0.01: (80, 98), 0.1: (10, 20)}
    candidates = [trained(f"lr{lr}", *counts, lr=lr) for lr, counts in rates.items()]
    choice = RETAIN.choose(BASE + candidates)
    assert (choice.vector, choice.coefficient, choice.tried) == ("lr0.01", 1.0, 3)
    assert (choice.lower_end, choice.upper_end) == (False, False)
    choice = RETAIN.choose(BASE + candidates[::2])
    assert (choice.vector, choice.coefficient) == ("original", 0.0)


def test_the_end_of_an_option_is_marked_where_it_has_three_values():
    candidates = [
        trained(
            f"{lr} {epochs}", 90 - epochs if lr == 0.01 else 95, 99, lr=lr, epochs=float(epochs)
        )
        for lr in (0.01, 0.1, 1.0)
        for epochs in (5, 10)
    ]
    choice = RETAIN.choose(BASE + candidates)
    assert (choice.vector, choice.lower_end, choice.upper_end) == ("0.01 10", True, False)


def test_a_merge_with_a_grid_is_marked_at_the_end_of_an_option_or_of_its_coefficients():
    forget = {0.1: [40, 30, 35], 0.2: [40, 35, 20], 0.4: [40, 30, 30]}

    def choice(lowest):
        swept = []
        for density, counts in (forget | lowest).items():
            of_one = points(f"ties.{density}", GRID, forget=counts, control=[80] * 3)
            swept += [replace(point, options={"density": density}) for point in of_one]
        return CONTROL.choose(swept)

    chosen = choice({})
    assert (chosen.vector, chosen.coefficient, chosen.tried) == ("ties.0.2", 1.0, 6)
    assert (chosen.lower_end, chosen.upper_end) == (False, True)
    chosen = choice({0.1: [40, 9, 35]})
    assert (chosen.lower_end, chosen.upper_end) == (True, False)
    chosen = choice({0.4: [40, 9, 35]})
    assert (chosen.lower_end, chosen.upper_end) == (True, True)


def test_what_diverged_is_never_chosen_but_says_how_far_was_tried():
    rates = {0.001: (99, 99), 0.01: (80, 98), 0.1: (None, None)}
    candidates = [trained(f"lr{lr}", *counts, lr=lr) for lr, counts in rates.items()]
    choice = RETAIN.choose(BASE + candidates)
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


shares = st.lists(st.integers(0, 4).map(lambda n: 25 * n), min_size=3, max_size=3)
columns = st.tuples(*[shares] * 4)


@given(st.dictionaries(st.sampled_from("abcd"), columns, min_size=1), columns)
def test_the_choice_by_gap_is_its_definition(found, reference):
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


def test_a_choice_by_halves_sees_every_other_item_alone():
    whole = sweep([100, 84, 20], [100, 96, 90], [80, 80, 60], [0, 12, 90])
    names = ("forget", "retain", "test", "mia")
    halves = [(100, 100, 80, 0), (60, 60, 60, 60), (82, 98, 80, 20)]
    seen = [
        replace(point, half=dict(zip(names, map(float, half), strict=True)))
        for point, half in zip(whole, halves, strict=True)
    ]
    choice = Criterion("gap", 0.95, RETRAIN, halves=True).choose(seen)
    assert (choice.coefficient, choice.gap) == (1.0, 1.0)
    assert (choice.forget_accuracy, choice.control_accuracy) == (82.0, 98.0)
    assert choice.control_baseline == 100.0
    assert GAP.choose(seen) == GAP.choose(whole)


def test_without_labels_the_largest_agreement_chooses_and_of_equals_the_smaller_coefficient():
    whole = sweep([100, 84, 20], [100, 96, 90], [80, 80, 60], [0, 12, 90])
    agreements = zip(whole, (0.5, 0.75, 0.75), strict=True)
    agreeing = [
        replace(point, agreement=value, criteria=("unlabelled",)) for point, value in agreements
    ]
    choice = Criterion("unlabelled", 0.95, RETRAIN).choose(agreeing)
    assert (choice.coefficient, choice.forget_accuracy, choice.gap) == (0.5, 84.0, None)


def test_retrain_s_measures_are_read_for_the_criteria_that_need_them(tmp_path):
    path = tmp_path / "retrain.csv"
    (retrain,) = sweep([80], [100], [80], [20], "retrain", [1.0])
    retrain = replace(retrain, half={"forget": 70.0, "mia": 25.0})
    write_points(path, {"experiment": "e", "task": "trial1"}, [retrain])
    plain = {"coefficients": [], "halvings": 0, "halves": False}
    choices = [{"name": name, "by": name, **plain} for name in ("gap", "retain")]
    gap, retain = load_criteria(choices, 0.9, [path])
    assert (gap.reference, gap.keep, retain.name) == (RETRAIN, 0.9, "retain")
    (halves,) = load_criteria([{"name": "h", "by": "gap", **plain, "halves": True}], 0.9, [path])
    assert halves.reference == {"forget": 70.0, "mia": 25.0}
    other = {"name": "coarse", "by": "control", "coefficients": GRID, "halvings": 0}
    other |= {"halves": False}
    (coarse,) = load_criteria([other], 0.95, [])
    assert coarse == Criterion("coarse", 0.95, None, "control", GRID, 0)


PLACE = {"experiment": "e", "task": "digits", "vector": "more is left out"}


def test_a_sweep_comes_back(tmp_path):
    swept = points("m1-n1", [0.0, 0.05], ("control",), forget=[75, 0], control=[33, 66])
    sums = {"forget": Accuracy(1 + 2**-30, 3), "retain": Accuracy(1e-7, 2)}
    write_points(tmp_path / "s.csv", PLACE, [replace(swept[0], accuracy=sums)])
    assert read_points(tmp_path / "s.csv") == [replace(swept[0], accuracy=sums)]
    write_points(tmp_path / "s.csv", PLACE, swept)
    assert (tmp_path / "s.csv").read_text() == (
        "experiment,task,vector,coefficient,forget_correct,forget_n,control_correct,control_n,"
        "criteria\n"
        "e,digits,m1-n1,0.0,75,100,33,100,control\n"
        "e,digits,m1-n1,0.05,0,100,66,100,control\n"
    )
    assert read_points(tmp_path / "s.csv") == swept
    assert (swept[0].forget, swept[0].control) == (0.75, 0.33)
    assert swept[0].percentages == {"forget": 75.0, "control": 33.0}


def test_trained_models_come_back_with_their_options_and_what_diverged(tmp_path):
    candidates = [
        *points("original", [0.0], mia=[0.1], forget=[99], retain=[99], test=[80]),
        *(
            trained(f"rate{rate}-by{by}", None, None, rate=rate, by=by)
            for rate, by in ((0.01, "size"), (0.1, "sign"))
        ),
        *points("rate0.3", [1.0], mia=[1 / 3], forget=[9], retain=[98], test=[70]),
    ]
    write_points(tmp_path / "m.csv", PLACE, candidates)
    again = read_points(tmp_path / "m.csv")
    assert again == candidates
    assert again[1].options == {"rate": 0.01, "by": "size"}
    assert again[3].percentages == {"forget": 9.0, "retain": 98.0, "test": 70.0, "mia": 1 / 3}


HEAD = (
    "experiment,task,vector,coefficient,forget_correct,forget_n,retain_correct,retain_n,criteria\n"
)


def test_files_that_are_no_measures_are_refused(tmp_path):
    path = tmp_path / "s.csv"
    row = "e,t,m,0.0,1,2,1,2,gap\n"
    for text in (
        "",
        HEAD,
        HEAD + row.replace("0.0", "zero"),
        HEAD + row[:13],
        HEAD + "e,t,m,0.0,3,2",
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=r"s\.csv: not a file of measures .*; delete it"):
            read_points(path)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: select_coefficient([0, 1], [1], [1, 2], 1), "2 coefficients with 1 forget and 2"),
        (lambda: select_coefficient([0], [math.nan], [1], 1), "an accuracy is not a number"),
        (lambda: select_coefficient([0], [1], [1], math.nan), "an accuracy is not a number"),
        (
            lambda: CONTROL.choose(points("m", [0.5], forget=[1], control=[1])),
            "1 measured candidates, none at coefficient 0: expected the base",
        ),
        (
            lambda: GAP.choose(points("m", GRID, forget=[1] * 3, retain=[1] * 3)),
            "average gap: mia, test missing from the scores",
        ),
    ],
)
def test_what_cannot_be_chosen_among_is_refused(call, line):
    with pytest.raises(UserError, match=line) as caught:
        call()
    assert "\n" not in str(caught.value)
