"""Accuracies of networks, and how validation items measure a base that is moved along a vector."""

import torch
from torch import nn

from negmerge.data.loading import EvaluationBatches
from negmerge.evaluation.accuracy import Accuracy, Classification, accuracy
from negmerge.models.classifiers import re_estimate
from negmerge.selection.validation import Validation

CPU = torch.device("cpu")


def test_a_model_is_evaluated_without_dropout_and_gradients():
    class Encoder(nn.Module):
        def forward(self, images):
            assert not self.training
            assert not torch.is_grad_enabled()
            return images

    features = torch.eye(2)
    batches = [(features, torch.tensor([0, 1]))]
    assert accuracy(Encoder().train(), features, batches, CPU) == Accuracy(2, 2)


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


BASE = build().state_dict()
VECTOR = {name: random(*p.shape, seed=50) / 4 for name, p in build().named_parameters()}
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


def by_the_retain_set(network):
    re_estimate(network, batches("retain"), CPU)


def moved(coefficient):
    network = build()
    state = {n: BASE[n] - coefficient * VECTOR[n] if n in VECTOR else BASE[n] for n in BASE}
    network.load_state_dict(state)
    return network.eval()


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


def test_moving_back_and_forth_leaves_no_trace():
    network, measured = validation(reset_batchnorm=by_the_retain_set)
    measured.move(VECTOR, 0.5, "v")
    first = {name: value.clone() for name, value in network.state_dict().items()}
    measured.move(VECTOR, 1.0, "v")
    measured.move(VECTOR, 0.5, "v")
    assert all(torch.equal(value, first[name]) for name, value in network.state_dict().items())
    measured.move(VECTOR, 0.0, "v")
    assert all(torch.equal(value, BASE[name]) for name, value in network.state_dict().items())


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


def as_it_is(features):
    return features
