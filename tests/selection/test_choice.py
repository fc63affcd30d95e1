"""Criteria that choose among measured points, and the files that hold those."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from point_examples import points

from negmerge.errors import UserError
from negmerge.evaluation.outcomes import Accuracy
from negmerge.selection import select_coefficient
from negmerge.selection.choice import Criterion, load_criteria
from negmerge.selection.points import Point, read_points, write_points
from recomputation import scores
from refusals import refused

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


PLACE = {"experiment": "e", "task": "digits", "vector": "more is left out"}
GRID = [0.0, 0.5, 1.0]
CONTROL = Criterion("control", 0.95)


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


COUNTS = st.integers(0, 4).map(lambda n: 25 * n)
MEASURES = st.tuples(*[COUNTS] * 4)
# Few values or text, where no end is marked, or three numbers.
OPTIONS = st.sampled_from([(), (0.1, 0.2, 0.4), (1.0, 2.0), ("large", "small")])
RULES = ("gap", "retain", "unlabelled")
NAMES = ("forget", "retain", "test", "mia")


def point(name, coefficient, measures, criteria=RULES, **options):
    """A point with the right answers of 100 to forget, to retain and to test, and an attack.

    On every other item all measures are other ones, and so is the agreement of neighbours.
    """
    *right, mia = measures
    counts = zip(("forget", "retain", "test"), right, strict=True)
    accuracy = {role: Accuracy(count, 100) for role, count in counts}
    half = dict(zip(NAMES, (float(value) for value in measures[::-1]), strict=True))
    attack = {"mia": float(mia)}
    return Point(name, coefficient, accuracy, attack, half, sum(measures) / 7, options, criteria)


@st.composite
def measured(draw):
    """Vectors at a few coefficients or trained models, with their base; some of them diverged."""
    is_trained, values = draw(st.booleans()), draw(OPTIONS)
    base, *others = draw(st.lists(MEASURES, min_size=1, max_size=3))
    # Of few measures many are equal.
    measures = draw(st.sampled_from([MEASURES, st.sampled_from([base, *others])]))
    result = [point("original", 0.0, base)] if is_trained else []
    for name in draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True)):
        options = {"size": draw(st.sampled_from(values))} if values else {}
        diverged = draw(st.sampled_from([False, False, True]))
        if not is_trained:
            result.append(point(name, 0.0, base, **options))
        for coefficient in [1.0] if is_trained else GRID[1:]:
            criteria = draw(st.sampled_from([RULES, RULES[:1], RULES[1:]]))
            one = point(name, coefficient, draw(measures), criteria, **options)
            diverged_one = replace(
                one, accuracy={}, further={}, half={}, agreement=None, criteria=RULES
            )
            result.append(diverged_one if diverged else one)
    return result


@settings(max_examples=300)
@given(
    measured(), MEASURES, st.sampled_from(RULES), st.sampled_from([0.5, 0.95]),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_the_choice_is_what_the_recomputation_of_studies_makes_of_the_file(
    tmp_path_factory, swept, reference, rule, keep, has_own_grid, halves
):
    """Among vectors, options and coefficients, and with what it says of them."""
    folder = tmp_path_factory.getbasetemp()
    for name, several in (("m", swept), ("retrain", [point("retrain", 1.0, reference)])):
        write_points(folder / f"{name}.csv", PLACE, several)
    retrain = scores.read_rows(folder / "retrain.csv")[0]
    halves, (known,) = halves and rule == "gap", read_points(folder / "retrain.csv")
    measures = (known.half if halves else known.percentages) if rule == "gap" else None
    grid = GRID if has_own_grid else ()
    criterion = Criterion(rule, keep, measures, coefficients=grid, halves=halves)
    record = criterion.choose(swept).record(PLACE | {"method": "m"}, rule, {})
    rows = scores.read_rows(folder / "m.csv")
    other = retrain if measures else None
    expected = scores.choose(rows, rule, keep, other, has_own_grid, halves)
    assert record.items() >= expected.items()
    assert record["diverged"] == sorted({one.vector for one in swept if not one.accuracy})


RETRAIN = {"forget": 80.0, "retain": 100.0, "test": 80.0, "mia": 20.0}
GAP = Criterion("gap", 0.95, RETRAIN)


def test_retrain_s_measures_are_read_for_the_criteria_that_need_them(tmp_path):
    path = tmp_path / "retrain.csv"
    retrain = point("retrain", 1.0, (80, 100, 80, 20))
    write_points(path, PLACE, [replace(retrain, half={"forget": 70.0, "mia": 25.0})])
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
            Point(f"rate{rate}-by{by}", 1.0, {}, options={"rate": rate, "by": by}, criteria=RULES)
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
    assert re.search(line, refused(call))
