import pytest
from matplotlib.image import imread
from reporting_examples import classifier_score, score

from negmerge.errors import UserError
from negmerge.evaluation.outcomes import average_gap
from negmerge.reporting.style import save
from negmerge.scenarios.classifier.scenario import GAP_OF

METHODS = {"retrain": "Retrain", "original": "Original", "negmerge": "NegMerge"}
GAP = {"kind": "gap", "title": "Gaps", "experiments": ["net"], "methods": METHODS, "tasks": []}
MODELS = {
    "kind": "models",
    "title": "Pool size",
    "experiments": ["a"],
    "methods": {"negmerge-2": "2", "negmerge": "6", "uniform-2": "2", "uniform": "6"},
    "tasks": [],
}


@pytest.fixture
def gaps():
    numbers = {
        ("retrain", 1): (80, 200, 160, 20.0),
        ("retrain", 2): (84, 200, 164, 16.0),
        ("original", 1): (100, 200, 162, 0.0),
        ("original", 2): (100, 200, 162, 0.0),
        ("negmerge", 1): (86, 196, 156, 14.0),
        ("negmerge", 2): (78, 196, 156, 22.0),
    }
    return [
        classifier_score("net", f"trial{trial}", method, *values)
        for (method, trial), values in numbers.items()
    ]


@pytest.fixture
def merges():
    counts = {
        "uniform": (60, 6),
        "negmerge": (40, 6),
        "uniform-2": (90, 2),
        "negmerge-2": (80, 2),
    }
    return [
        score("a", task, method, forget, 150, models=models)
        for task in ("letters", "digits")
        for method, (forget, models) in counts.items()
    ]


def percent(record):
    counts = {name: 100 * record[name]["correct"] / record[name]["n"] for name in GAP_OF[:3]}
    return counts | {"mia": record["membership"]["confidence"]}


def test_the_parts_of_a_trial_add_up_to_its_gap(draw, gaps):
    _, data = draw(GAP, scores=gaps)
    parts = data.groupby(["method", "task"])["part"].sum()
    by_place = {(one["method"], one["task"]): percent(one) for one in gaps}
    for (method, task), values in by_place.items():
        expected = average_gap(values, by_place["retrain", task])
        assert parts[method, task] == pytest.approx(expected, abs=1e-6)
    assert parts["negmerge", "trial1"] == pytest.approx(4.0)


def test_a_missing_score_is_named(draw, gaps):
    with pytest.raises(UserError, match=r"unknown score 'net/trial2/negmerge'; did you mean"):
        draw(GAP, scores=gaps[:-1])


def test_a_line_of_models_has_a_point_for_each_size(draw, merges):
    picture, data = draw(MODELS, scores=merges)
    digits = data[data["task"] == "digits"]
    found = list(zip(digits["series"], digits["models"], digits["forget"], strict=True))
    assert found == [
        ("negmerge", 2, 40),
        ("negmerge", 6, 20),
        ("uniform", 2, 45),
        ("uniform", 6, 30),
    ]
    assert set(data["control"]) == {75}
    for axes, title in zip(picture.axes, ("a: digits", "a: letters"), strict=True):
        assert axes.get_title() == title
        assert [list(line.get_xdata()) for line in axes.lines] == [[2, 6], [2, 6]]


@pytest.mark.parametrize("ending", ["png", "pdf"])
@pytest.mark.parametrize("kind", ["gap", "models"])
def test_files_are_the_same_in_every_byte(draw, gaps, merges, tmp_path, kind, ending):
    definition, scores = (GAP, gaps) if kind == "gap" else (MODELS, merges)
    for name, records in (("one", scores), ("two", scores[::-1])):
        picture, _ = draw(definition, scores=records)
        save(picture, tmp_path / f"{name}.{ending}")
    one, two = ((tmp_path / f"{name}.{ending}").read_bytes() for name in ("one", "two"))
    assert one == two
    if ending == "png":
        pixels = imread(tmp_path / "one.png")[..., :3].reshape(-1, 3)
        assert len({tuple(pixel) for pixel in pixels.round(2)}) > 20


def test_an_unknown_kind_comes_with_the_valid_ones(draw, gaps):
    with pytest.raises(UserError) as caught:
        draw(GAP | {"kind": "gaps"}, scores=gaps)
    assert str(caught.value) == (
        "unknown figure 'gaps'; did you mean 'gap'? valid: gap, gradcam, models, signs, "
        "spread, survival, tradeoff"
    )
