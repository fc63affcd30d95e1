from dataclasses import dataclass

import pytest
import torch
from torch import nn

from negmerge.checkpoints.states import write_state
from negmerge.data.loading import EvaluationBatches
from negmerge.errors import UserError
from negmerge.evaluation.accuracy import Accuracy, Classification, accuracy, predict
from negmerge.models.classifiers import re_estimate
from negmerge.scenarios.task import Role
from negmerge.scenarios.validation import load_validation
from negmerge.selection.validation import Validation

CPU = torch.device("cpu")
SIZES = {"forget": 11, "retain": 18, "test": 8}


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def build():
    """A small classifier with batch normalisation."""
    network = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    seeds = range(100)
    state = {
        name: random(*value.shape, seed=seed).abs() if value.is_floating_point() else value
        for seed, (name, value) in zip(seeds, network.state_dict().items(), strict=False)
    }
    network.load_state_dict(state)
    return network


NETWORK = build()
BASE = {name: value.clone() for name, value in NETWORK.state_dict().items()}
WEIGHTS = [name for name, _ in NETWORK.named_parameters()]
VECTOR = {name: random(*BASE[name].shape, seed=50) / 4 for name in WEIGHTS}
SETS = {
    role: (random(n, 5, seed=number), torch.arange(n) % 3)
    for number, (role, n) in enumerate(SIZES.items())
}


OBJECTIVE = Classification(None, CPU)


def batches(role, size=4):
    return list(zip(*(part.split(size) for part in SETS[role]), strict=True))


def validation(**settings):
    network = build()
    items = {role: list(zip(x, y.tolist(), strict=True)) for role, (x, y) in SETS.items()}
    sets = {role: (OBJECTIVE, EvaluationBatches(items[role], as_it_is, 4)) for role in SETS}
    return network, Validation(network, dict(BASE), sets, **settings)


def moved(coefficient):
    network = build()
    state = {n: BASE[n] - coefficient * VECTOR[n] if n in VECTOR else BASE[n] for n in BASE}
    network.load_state_dict(state)
    return network.eval()


def test_without_a_head_the_network_gives_logits():
    images, labels = SETS["forget"]
    network = build().eval()
    assert torch.equal(predict(network, None, images), network(images))
    head = random(2, 3, seed=8)
    assert torch.equal(predict(network, head, images), network(images) @ head.T)
    right = int((network(images).argmax(dim=1) == labels).sum())
    assert accuracy(network, None, batches("forget"), CPU) == Accuracy(right, 11)


def test_further_measures_see_the_logits_in_the_order_of_reading():
    seen = {}

    def further(found):
        seen.update(found)
        return {"mia": 12.5}

    _, found = validation(further=further)
    found.move(VECTOR, 0.5, "v")
    measured = found.measure("v", 0.5)
    assert measured.further == {"mia": 12.5}
    network = moved(0.5)
    for role, (images, labels) in SETS.items():
        logits, truth = seen[role]
        assert torch.equal(truth, labels)
        assert torch.allclose(logits, network(images), atol=1e-6)
        right = int((network(images).argmax(dim=1) == labels).sum())
        assert measured.accuracy[role] == Accuracy(right, SIZES[role])


@pytest.mark.parametrize("coefficient", [0.0, 0.5, 1.0])
def test_measuring_and_counting_agree(coefficient):
    _, found = validation(settle=lambda network: re_estimate(network, batches("retain"), CPU))
    count = found.counting(lambda name: (VECTOR, name))
    counts = {
        role: sum(count("v", coefficient, role, number) for number in range(len(sizes)))
        for role, sizes in found.sizes.items()
    }
    found.move(VECTOR, coefficient, "v")
    assert {role: one.correct for role, one in found.measure("v", 0.5).accuracy.items()} == counts
    assert len(set(counts.values())) > 1


def test_coefficient_0_leaves_the_base_with_its_statistics():
    def never(network):
        raise AssertionError("the base needs nothing")

    network, found = validation(settle=never)
    found.move(VECTOR, 0.0, "v")
    assert all(torch.equal(value, BASE[name]) for name, value in network.state_dict().items())


def test_moving_back_and_forth_leaves_no_trace():
    network, found = validation(settle=lambda network: re_estimate(network, batches("retain"), CPU))
    found.move(VECTOR, 0.5, "v")
    first = {name: value.clone() for name, value in network.state_dict().items()}
    found.move(VECTOR, 1.0, "v")
    found.move(VECTOR, 0.5, "v")
    assert all(torch.equal(value, first[name]) for name, value in network.state_dict().items())
    found.move(VECTOR, 0.0, "v")
    assert all(torch.equal(value, BASE[name]) for name, value in network.state_dict().items())


def test_a_vector_that_does_not_fit_is_named():
    _, found = validation()
    with pytest.raises(UserError, match=r"^v.safetensors: tensor '3.bias' is missing"):
        found.move({name: VECTOR[name] for name in WEIGHTS[:-1]}, 0.5, "v.safetensors")


def test_statistics_are_the_means_over_the_batches_and_nothing_else_changes():
    network = build().train()
    re_estimate(network, batches("retain"), CPU)
    assert not any(module.training for module in network.modules())
    assert network[1].momentum == 0.1
    hidden = [network[0](images) for images, _ in batches("retain")]
    means = torch.stack([one.mean(dim=0) for one in hidden]).mean(dim=0)
    variances = torch.stack([one.var(dim=0) for one in hidden]).mean(dim=0)
    assert torch.allclose(network[1].running_mean, means, atol=1e-6)
    assert torch.allclose(network[1].running_var, variances, rtol=1e-5)
    for name, value in network.state_dict().items():
        if name.startswith("1.running") or name == "1.num_batches_tracked":
            continue
        assert torch.equal(value, BASE[name]), name
    assert int(network[1].num_batches_tracked) == len(hidden)


class Numbers:
    """Items that are vectors instead of images."""

    def __init__(self, role, most):
        self.features, self.labels = (part[:most] for part in SETS[role])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, number):
        return self.features[number], int(self.labels[number])


def as_it_is(features):
    return features


@dataclass
class Scenario:
    """As `scenarios.task.Task`, of the toy classifier; it notes what it was asked."""

    asked: list
    roles: tuple[str, ...] = ("forget", "retain")
    empty: str = ""

    def network(self, state, where):
        network = build()
        network.load_state_dict(state)
        return network

    def role(self, name, purpose, most=None):
        self.asked.append((name, purpose, most))
        items = Numbers(name, 0 if name == self.empty else most)
        return Role(items, OBJECTIVE, lambda: as_it_is, lambda augmentation: as_it_is)

    def selection_metrics(self, found, seed):
        return {"roles": float(len(found)), "seed": float(seed)}

    def settle(self, network, batch_size, most=None):
        self.asked.append(("settle", batch_size, most))
        role = Role(Numbers("retain", most), OBJECTIVE, lambda: as_it_is, None)
        re_estimate(network, role.batches(batch_size), CPU)


HOW = {"batch_size": 4, "re_estimates": False}


@pytest.fixture
def base(tmp_path):
    write_state(tmp_path / "base.safetensors", BASE, {})
    return str(tmp_path / "base.safetensors")


def test_a_validation_is_loaded_by_scenario(base):
    scenario = Scenario([])
    settings = {"most": 6, "re_estimates": True, "roles": list(SIZES), "seed": 7}
    found = load_validation(scenario, base, batch_size=4, **settings)
    assert scenario.asked == [(role, "select", 6) for role in SIZES]
    assert found.sizes == {role: [4, 2] for role in SIZES}
    assert found.measure("v", 0.0).further == {"roles": 3.0, "seed": 7.0}
    found.move(VECTOR, 0.5, "v")
    assert scenario.asked[-1] == ("settle", 4, 6)


def test_a_role_without_images_is_named(base):
    with pytest.raises(UserError, match=r"^too few retain images to choose a coefficient with$"):
        load_validation(Scenario([], empty="retain"), base, **HOW, most=4)
