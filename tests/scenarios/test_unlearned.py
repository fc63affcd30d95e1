import pytest
import torch

from negmerge.checkpoints.states import write_state
from negmerge.errors import UserError
from negmerge.files import write_json
from negmerge.scenarios.unlearned import Unlearned, choices
from negmerge.unlearning.tuning import stacked


def choice(kind, vector, coefficient, method="m"):
    return {"kind": kind, "vector": vector, "coefficient": coefficient, "method": method}


@pytest.fixture
def base(tmp_path_factory):
    path = tmp_path_factory.mktemp("base") / "base.safetensors"
    write_state(path, {"w": torch.tensor([1.0, 2.0])}, {})
    return str(path)


@pytest.fixture
def files(tmp_path):
    """A vector, a model and two stacked models."""
    write_state(tmp_path / "negmerge.safetensors", {"w": torch.tensor([1.0, 4.0])}, {})
    write_state(tmp_path / "retrain.safetensors", {"w": torch.tensor([7.0, 7.0])}, {})
    two = {name: {"w": torch.tensor([value, 0.0])} for name, value in (("a1", 1.0), ("a2", 2.0))}
    write_state(tmp_path / "salun.safetensors", stacked(two), {})
    return [str(path) for path in sorted(tmp_path.iterdir())]


class Scenario:
    """Notes what was settled."""

    def __init__(self):
        self.settled = 0

    def network(self, state, where):
        return state

    def reset_batchnorm(self, network, batch_size, most=None):
        self.settled += 1


def test_a_candidate_that_is_not_there_is_named(base, files):
    unlearned = Unlearned(Scenario(), base, files, 4, False)
    with pytest.raises(UserError, match=r"^unknown candidate 'ties'; "):
        unlearned.network(choice("merge", "ties", 0.5))
    with pytest.raises(UserError, match=r"^unknown method 'scrub'; "):
        unlearned.network(choice("unlearn", "a1", 1.0, "scrub"))


# What was chosen, the numbers of the model, and whether its batch statistics are measured anew.
CHOSEN = [
    (choice("base", None, 0.0), [1.0, 2.0], False),
    (choice("merge", "negmerge", 0.0), [1.0, 2.0], False),
    (choice("merge", "negmerge", 0.5), [0.5, 0.0], True),
    (choice("single", "negmerge", 1.0), [0.0, -2.0], True),
    (choice("retrain", "retrain", 1.0), [7.0, 7.0], False),
    (choice("unlearn", "a2", 1.0, "salun"), [2.0, 0.0], False),
    (choice("unlearn", "a1", 1.0, "salun"), [1.0, 0.0], False),
    (choice("unlearn", "original", 0.0, "salun"), [1.0, 2.0], False),
]


@pytest.mark.parametrize(("chosen", "expected", "is_negated"), CHOSEN)
def test_the_chosen_candidate_is_applied_and_a_negated_model_gets_new_batch_statistics(
    base, files, chosen, expected, is_negated
):
    for wanted in (True, False):
        scenario = Scenario()
        network = Unlearned(scenario, base, files, 4, wanted).network(chosen)
        assert network["w"].tolist() == expected
        assert scenario.settled == (is_negated and wanted)


LABELS = {"experiment": "resnet", "task": "trial1", "method": "salun"}
ABOUT = {"kind": "unlearn", "searched": False}


@pytest.mark.parametrize(
    ("method", "kind", "vector", "coefficient"),
    [("salun", "unlearn", "salun", 1.0), ("retrain", "retrain", "retrain", 1.0),
     ("original", "base", None, 0.0)],
)  # fmt: skip
def test_a_method_with_nothing_to_choose_is_what_it_is(method, kind, vector, coefficient):
    labels, about = LABELS | {"method": method}, ABOUT | {"kind": kind}
    (found,) = choices(labels | {"criterion": "x"}, about, ["selected/negmerge.json"])
    assert found.items() >= (labels | about).items()
    assert (found["vector"], found["coefficient"]) == (vector, coefficient)
    assert (found["criterion"], found["unchanged"], found["forget_accuracy"]) == (None, False, None)
    assert found["tried"] == (method == "salun")


def test_what_each_rule_chose_is_read(tmp_path):
    chosen = [
        choice("unlearn", name, 1.0, "salun") | {"criterion": name} for name in ("gap", "retain")
    ]
    path = tmp_path / "salun.json"
    write_json(path, chosen)
    about = {"kind": "unlearn", "models": 4}
    assert choices(LABELS, about, [str(path)]) == [one | {"models": 4} for one in chosen]
    write_json(path, [{"vector": "a1"}])
    with pytest.raises(UserError, match=r"salun.json: the key 'coefficient' is missing"):
        choices(LABELS, ABOUT, [str(path)])
