import numpy as np
import pytest
import torch

from negmerge.checkpoints.states import read_state, write_state
from negmerge.data.forget import Split, write_split
from negmerge.errors import UserError
from negmerge.evaluation.accuracy import Classification, Ensemble, all_outputs
from negmerge.evaluation.membership import membership_verdicts, percent
from negmerge.models.classifiers import build_classifier, last_linear
from negmerge.reporting.cells import summary
from negmerge.scenarios import load_task
from negmerge.scenarios.classifier.scenario import GAP_AND_PARTS, SCENARIO
from negmerge.scenarios.scoring import score
from negmerge.scenarios.task import Scoring
from negmerge.scenarios.unlearned import Unlearned
from negmerge.unlearning.tuning import stacked
from tiny_study import CLASSIFIER as MODEL

CPU = torch.device("cpu")
PARTS = {
    "forget": [1, 4, 9, 16, 25, 36],
    "retain": [number for number in range(40) if number not in (1, 4, 9, 16, 25, 36, 0, 20)],
    "validation": [0, 20],
    "original": [number for number in range(40) if number != 20],
    "test": list(range(10)),
}
SETTINGS = {
    "name": "classifier",
    "model": MODEL,
    "roles": ["forget", "retain", "test"],
    "classes": 4,
}


@pytest.fixture(scope="module")
def files(prepared, tmp_path_factory):
    """The prepared set, a split of its 40 training images, and an original model.

    It takes everything for class 1, of which three forget images are.
    """
    folder = tmp_path_factory.mktemp("classifier")
    write_split(folder / "split.json", Split(**{k: np.array(v) for k, v in PARTS.items()}))
    torch.manual_seed(0)
    original = build_classifier(MODEL, 4)
    last_linear(original)[1].bias.data[1] = 99
    write_state(folder / "base.safetensors", original.state_dict(), {})
    return {
        "images": str(prepared),
        "split": str(folder / "split.json"),
        "base": str(folder / "base.safetensors"),
    }


def load(files, **settings):
    return load_task(SETTINGS | settings, files, CPU)


@pytest.fixture
def scenario(files):
    return load(files)


@pytest.fixture
def network(scenario):
    torch.manual_seed(1)
    return scenario.network(build_classifier(MODEL, 4).state_dict(), "new")


def outputs(scenario, network, roles=("forget", "retain", "test")):
    found = {}
    for name in roles:
        role = scenario.role(name, "score")
        found[name] = all_outputs(network, role.objective, role.batches(8))
    return found


@pytest.mark.parametrize("name", ["forget", "retain", "original"])
@pytest.mark.parametrize("purpose", ["train", "select", "score"])
def test_a_role_is_a_part_of_the_split_for_any_purpose(scenario, name, purpose):
    role = scenario.role(name, purpose)
    assert role.objective == Classification(None, CPU)
    assert role.items.positions.tolist() == PARTS[name]
    # The grey levels and labels of conftest's images tell where they stand.
    for number, position in enumerate(PARTS[name]):
        image, label = role.items[number]
        assert (image.getpixel((0, 0))[:2], label) == ((position * 5, 0), position % 4)


def test_test_images_are_all_those_of_the_test_split(scenario):
    items = scenario.role("test", "score").items
    assert [items[n][0].getpixel((0, 0))[:2] for n in range(len(items))] == [
        (number * 5, 255) for number in range(10)
    ]


def test_scores_hold_every_feature_and_relearning_if_it_is_wanted(scenario, network):
    found = outputs(scenario, network)
    verdicts = membership_verdicts(found["retain"], found["test"], found["forget"])
    attack = {name: percent(unseen) for name, unseen in verdicts.items()}
    assert len(attack) == 6
    score, of_images = scenario.scores(network, found, Scoring(8, None, "all", 0))
    used = {"members": 10, "nonmembers": 10, "of_retain": 32, "of_test": 10}
    assert score == {"membership": attack, "membership_images": used}
    published, same_images = scenario.scores(network, found, Scoring(8, None, "confidence", 0))
    assert published["membership"] == {"confidence": attack["confidence"]}
    assert same_images["forget_unseen"].tolist() == of_images["forget_unseen"].tolist()
    # The verdicts on single images make up the attack, and their confidences are what it saw.
    unseen = of_images["forget_unseen"]
    assert unseen.dtype == np.uint8
    assert 100 * unseen.mean() == pytest.approx(attack["confidence"])
    for role in scenario.roles:
        logits, labels = found[role]
        chances = torch.softmax(logits.double(), dim=1)[torch.arange(len(labels)), labels]
        assert of_images[f"{role}_confidence"] == pytest.approx(chances.numpy())


def test_relearn_time_is_measured_against_the_original(scenario, files, network):
    original = scenario.network(read_state(files["base"]), "base")
    settings = {"learning_rate": 0.05, "batch_size": 3, "epochs": 4, "seeds": 2}
    found = outputs(scenario, network)

    def relearn(model, seed=0, **changes):
        return scenario.scores(model, found, Scoring(8, settings | changes, "all", seed))[0][
            "relearn"
        ]

    assert relearn(original) == {"epochs": [0, 0], "limit": 4, "target": 3}
    state = {name: value.clone() for name, value in network.state_dict().items()}
    first = relearn(scenario.network(state, "m"))
    assert first["target"] == 3
    assert len(first["epochs"]) == 2
    assert first == relearn(scenario.network(state, "m"))
    # Each seed begins with the unlearned model, so more of them change nothing for the first ones.
    more = relearn(scenario.network(state, "m"), seeds=4)
    assert more["epochs"][:2] == first["epochs"]


def test_a_model_that_does_not_relearn_has_no_time(scenario, files, network):
    found = outputs(scenario, network)
    # It takes everything for class 3, of which no forget image is, and its steps are tiny.
    _, last = last_linear(network)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 99.0]))
    settings = {"learning_rate": 1e-9, "batch_size": 3, "epochs": 2, "seeds": 2}
    score = scenario.scores(network, found, Scoring(8, settings, "all", 0))[0]["relearn"]
    assert score == {"epochs": [None, None], "limit": 2, "target": 3}


def test_settling_changes_statistics_only_and_alike_each_time(scenario, network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    scenario.reset_batchnorm(network, 8)
    once = {name: value.clone() for name, value in network.state_dict().items()}
    changed = {name for name in before if not torch.equal(before[name], once[name])}
    assert changed
    assert {name.rpartition(".")[2] for name in changed} <= {
        "running_mean",
        "running_var",
        "num_batches_tracked",
    }
    scenario.reset_batchnorm(network, 8)
    assert all(torch.equal(value, once[name]) for name, value in network.state_dict().items())
    scenario.reset_batchnorm(network, 8, most=8)
    assert any(not torch.equal(value, once[name]) for name, value in network.state_dict().items())


def test_a_split_of_other_images_is_refused(files, tmp_path):
    parts = {name: np.array(positions) for name, positions in PARTS.items()}
    parts["retain"] = np.append(parts["retain"], 40)
    write_split(tmp_path / "split.json", Split(**parts))
    with pytest.raises(UserError, match=r"split.json: retain: index 40 is out of range"):
        load(files | {"split": str(tmp_path / "split.json")})


def test_an_ensemble_is_scored_by_its_mean_probabilities_and_by_halves(scenario, files, tmp_path):
    torch.manual_seed(3)
    members = [scenario.network(build_classifier(MODEL, 4).state_dict(), "x") for _ in range(4)]
    path = tmp_path / "simplex.safetensors"
    write_state(path, stacked({"coefficient1.0": Ensemble(members).state_dict()}), {})
    choice = dict(zip(("experiment", "task", "method"), ("a", "trial1", "simplex"), strict=True))
    choice |= {"kind": "unlearn", "vector": "coefficient1.0", "coefficient": 1.0, "criterion": None}
    network = Unlearned(scenario, files["base"], [str(path)], 8, False).network(choice)
    metrics, _ = score(scenario, network, choice, 0, Scoring(8, None, "confidence", 0))
    items = scenario.role("forget", "score")
    inputs = torch.stack([items.transform(image) for image, _ in items.items])
    truth = np.array([label for _, label in items.items])
    shares = [member.eval()(inputs).softmax(1).detach().numpy() for member in members]

    def right(chosen):
        return int((np.mean(chosen, axis=0).argmax(axis=1) == truth).sum())

    assert metrics["forget"] == {"correct": right(shares), "n": len(truth)}
    halves = [100 * right(chosen) / len(truth) for chosen in (shares[::2], shares[1::2])]
    assert metrics["ensemble"] == {"models": 4, "forget_by_halves": halves}
    said = summary([metrics | choice], GAP_AND_PARTS[1], SCENARIO, None)["ensemble"]
    assert said == f"4 models, forget accuracy {halves[0]:.2f} and {halves[1]:.2f} % by halves"
