import pytest
import torch
from torch import nn

from negmerge.checkpoints.states import write_state
from negmerge.errors import NotFinite, UserError
from negmerge.evaluation.outcomes import Accuracy
from negmerge.selection.choice import Criterion
from negmerge.selection.points import Point
from negmerge.unlearning.tuning import read_candidate, stacked, tune
from refusals import refused

RETAIN = Criterion("retain", 0.95)
GAP = Criterion("gap", 0.95, {"forget": 95.0, "retain": 100.0})


class Model(nn.Module):
    """Its only weight is the rate that it was trained with."""

    def __init__(self, rate):
        super().__init__()
        self.rate = nn.Parameter(torch.tensor(rate))


class Images:
    """The larger the rate the more is forgotten, and from 0.5 on too much is lost."""

    def measure(self, name, coefficient, model=None):
        rate = model.rate.item() if model else 0.0
        retain = 100 if rate < 0.5 else 20
        right = {"forget": round(100 - 10 * rate), "retain": retain}
        counts = {role: Accuracy(result, 100) for role, result in right.items()}
        return Point(name, coefficient, counts)


class Training:
    """Counts how often a model was trained."""

    def __init__(self, diverges=float("inf")):
        self.trained, self.diverges = [], diverges

    def __call__(self, options):
        rate = options.get("rate", 0.3)
        self.trained.append(rate)
        if rate >= self.diverges:
            raise NotFinite("step 3 of 9: the loss is nan; lower the rate")
        return Model(rate)


def run(rates, criteria=(RETAIN,), halvings=0, **options):
    train = Training(**options)
    grid = {"rate": rates} if rates else {}
    tuned = tune("salun-2", grid, train, Images(), list(criteria), halvings, "original")
    return tuned, train


def test_only_the_models_that_a_rule_chooses_are_kept():
    tuned, train = run([0.01, 0.1, 0.4, 0.6], [RETAIN, GAP])
    assert [point.vector for point in tuned.points] == [
        "original", "rate0.01", "rate0.1", "rate0.4", "rate0.6",
    ]  # fmt: skip
    assert tuned.points[1].options == {"rate": 0.01}
    assert RETAIN.choose(tuned.points).vector == "rate0.4"
    assert GAP.choose(tuned.points).vector == "rate0.4"
    assert list(tuned.states) == ["rate0.4"]
    assert tuned.states["rate0.4"]["rate"].item() == pytest.approx(0.4)
    assert train.trained == [0.01, 0.1, 0.4, 0.6]


def test_models_between_those_of_the_grid_are_trained():
    tuned, train = run([0.01, 0.1, 1.0], halvings=2)
    assert train.trained == [0.01, 0.1, 1.0, 0.0316, 0.316, 0.178, 0.562]
    assert list(tuned.states) == ["rate0.316"]


def test_the_base_stays_where_no_model_is_better():
    tuned, _ = run([0.6, 0.8, 1.0])
    choice = RETAIN.choose(tuned.points)
    assert (choice.vector, choice.coefficient, choice.tried) == ("original", 0.0, 3)
    assert tuned.states == {}


def test_without_a_grid_the_model_is_what_was_asked_for():
    tuned, _ = run([])
    assert [point.vector for point in tuned.points] == ["original", "salun-2"]
    choice = Criterion("retain", 1.0).choose(tuned.points)
    assert (choice.vector, choice.upper_end, choice.lower_end) == ("salun-2", False, False)
    assert list(tuned.states) == ["salun-2"]


def test_what_diverges_is_left_out_and_noted(capsys):
    tuned, _ = run([0.1, 0.4, 0.8], diverges=0.4)
    assert [bool(point.accuracy) for point in tuned.points] == [True, True, False, False]
    printed = capsys.readouterr().out
    assert "rate0.4: diverged: step 3 of 9: the loss is nan; lower the rate\n" in printed
    assert list(tuned.states) == ["rate0.1"]
    tuned, _ = run([0.4, 0.8], halvings=2, diverges=0.4)
    choice = RETAIN.choose(tuned.points)
    assert (choice.vector, choice.diverged, tuned.states) == (None, ["rate0.4", "rate0.8"], {})


def test_without_a_grid_diverging_is_an_error():
    with pytest.raises(UserError, match=r"^step 3 of 9: the loss is nan; lower the rate$"):
        run([], diverges=0.1)


def test_stacked_states_come_back(tmp_path):
    states = {"x": {"a.weight": torch.ones(2)}, "xy": {"a.weight": torch.zeros(2)}}
    write_state(tmp_path / "s.safetensors", stacked(states), {})
    for name, state in states.items():
        result = read_candidate(str(tmp_path / "s.safetensors"), name)
        assert result.keys() == state.keys()
        assert torch.equal(result["a.weight"], state["a.weight"])
    line = refused(lambda: read_candidate(str(tmp_path / "s.safetensors"), "z"))
    assert line.endswith("s.safetensors: no model 'z', found x, xy; delete it and run again")
