"""Methods that move along task vectors, on models whose loss is a sum of weighted numbers."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn
from unlearning_examples import CPU, Batches, Unreadable, example_recipe, unlearn

from negmerge.errors import UserError
from negmerge.evaluation.accuracy import Ensemble, member_states, predict
from negmerge.settings.methods import Use, check_options
from negmerge.unlearning import Data
from negmerge.unlearning.methods.atlas import move, slopes
from negmerge.unlearning.methods.gradfix import masked
from negmerge.unlearning.methods.simplex import METHOD as SIMPLEX
from negmerge.unlearning.methods.simplex import simplex_weights


class Weights(nn.Module):
    """A weight for each column of the items."""

    def __init__(self, *numbers):
        super().__init__()
        for name, number in zip("abc", numbers, strict=False):
            self.register_parameter(name, nn.Parameter(torch.tensor(float(number))))

    @property
    def numbers(self):
        return [round(parameter.item(), 6) for parameter in self.parameters()]


class Linear:
    """The loss is the mean over items of item x weights, so its gradient is their mean."""

    device = CPU

    def loss(self, model, label_smoothing):
        return lambda items, labels: (items @ torch.stack([*model.parameters()])).mean()


def data(forget, retain, *vectors, size=2):
    parts = [
        Unreadable() if items is None
        else Batches(torch.tensor(items), torch.zeros(len(items)), size)
        for items in (forget, retain)
    ]  # fmt: skip
    states = [dict(zip("abc", map(torch.tensor, vector), strict=False)) for vector in vectors]
    parts = [*parts, *parts, Unreadable()]
    return Data(*parts, Linear(), 0, 0, example_recipe(), vectors=tuple(states))


def test_gradfix_keeps_what_raises_the_loss_when_it_is_taken_away():
    tau = torch.tensor([0.2, -0.1, 0.3, 0.0, -0.4])
    gradient = torch.tensor([-1.0, -2.0, 0.5, -3.0, 0.0])
    kept = masked(tau, gradient.sign())
    assert torch.equal(kept, torch.tensor([0.2, 0.0, 0.0, 0.0, 0.0]))
    # By how much the loss moves, to first order, for each unit of the coefficient.
    assert (-kept @ gradient).item() == pytest.approx(0.2)
    assert (-tau @ gradient).item() == pytest.approx(-0.15)


@pytest.mark.parametrize(("signs", "expected"), [("mean", [-3.0, 5.0]), ("majority", [1.0, 5.0])])
def test_gradfix_takes_the_sign_of_the_mean_or_of_most_items(signs, expected):
    # Batches of two and one: their means would add up to another sign than those of the items.
    items = data([[1.0, 1.0], [1.0, 1.0], [-10.0, 1.0]], None, (2.0, 3.0))
    model = unlearn("gradfix", Weights(1, 5), items, coefficient=2.0, signs=signs)
    assert model.numbers == expected


def test_atlas_takes_one_step_by_the_slopes_of_the_coefficients():
    forget, retain, tau = [-3.0, 1.0, 0.0], [0.5, -0.5, 0.0], (1.0, 2.0, 1.0)
    gradient = [torch.tensor(r - f) for f, r in zip(forget, retain, strict=True)]
    assert slopes(gradient, [[*map(torch.tensor, tau)]]).tolist() == [[3.5, -3.0, 0.0]]
    items = data([forget], [retain], tau)
    model = unlearn("atlas", Weights(1, 1, 1), items, epochs=1, learning_rate=0.01)
    # The coefficients are -0.01, 0.01 and 0; the second tensor is added, and that is right.
    assert model.numbers == [0.99, 1.02, 1.0]


def test_coefficients_that_are_equal_are_task_arithmetic():
    start, vectors = [torch.randn(3, 2), torch.randn(4)], []
    for _ in range(2):
        vectors.append([torch.randn_like(tensor) for tensor in start])
    parameters = [nn.Parameter(tensor.clone()) for tensor in start]
    move(parameters, start, vectors, torch.full((2, 2), -0.5))
    for place, parameter in enumerate(parameters):
        expected = start[place] - 0.5 * vectors[0][place] - 0.5 * vectors[1][place]
        torch.testing.assert_close(parameter.detach(), expected)


def test_atlas_learns_on_a_pool_with_a_coefficient_for_each_vector():
    items = data([[1.0, 0.0]], [[0.0, 1.0]], (-1.0, 0.0), (0.0, 1.0))
    model = unlearn("atlas", Weights(0, 0), items, epochs=4, learning_rate=0.1, weight_decay=0.0)
    a, b = model.numbers
    # The forget loss should rise and the retain loss fall, each by the vector that moves it.
    assert a == pytest.approx(0.4, abs=1e-3)
    assert b == pytest.approx(-0.4, abs=1e-3)


def test_no_conflict_leaves_out_what_would_bring_back_what_was_forgotten_before():
    items = data(None, None, (0.5, -0.25, 2.0), (1.0, 1.0, 0.0))
    assert unlearn("no-conflict", Weights(1, 1, 1), items, coefficient=2.0).numbers == [0, 1, -3]


def test_msa_subtracts_one_vector_and_adds_the_other():
    start, tuned = torch.tensor([1.0, 2.0]), torch.tensor([[1.5, 1.0], [2.0, 2.0]])
    items = data(None, None, *(tuned - start).tolist())
    options = {"coefficient": 2.0, "retain_coefficient": 1.0}
    assert unlearn("msa", Weights(3, 0), items, **options).numbers == [3.0, 2.0]
    options = {"coefficient": 0.0, "retain_coefficient": 0.0}
    assert unlearn("msa", Weights(0.1, 0.2), items, **options).numbers == [0.1, 0.2]
    # The sum is in float32, where half precision would lose it.
    small = data(None, None, (0.0, 0.0), (2.0**-9, 2.0**-9))
    model = unlearn("msa", Weights(1.0, 0.0).bfloat16(), small, retain_coefficient=3.0)
    assert model.numbers == [round(1 + 2.0**-7, 6), round(3 * 2.0**-9, 6)]


def test_msa_undoes_one_step_exactly():
    """After a full-batch step of equal size on each set, a = b = n_f / n gives Retrain."""
    generator = torch.Generator().manual_seed(0)
    inputs, truth = torch.randn(12, 5, generator=generator), torch.randn(12, 2, generator=generator)
    net = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 2)).double()

    def tuned(items):
        model = copy.deepcopy(net)
        loss = nn.functional.mse_loss(model(inputs[items].double()), truth[items].double())
        loss.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
        return model

    forget, retain, everything = slice(0, 3), slice(3, 12), slice(0, 12)
    vectors = [
        {name: part - net.state_dict()[name] for name, part in tuned(items).state_dict().items()}
        for items in (forget, retain)
    ]
    items = dataclasses.replace(data(None, None), vectors=tuple(vectors))
    share = {"coefficient": 0.25, "retain_coefficient": 0.25}
    model = unlearn("msa", tuned(everything), items, **share)
    for name, parameter in tuned(retain).named_parameters():
        torch.testing.assert_close(model.state_dict()[name], parameter.data, rtol=0, atol=1e-15)


@pytest.mark.parametrize("vectors", [2, 5])
def test_weights_are_spread_evenly_over_the_simplex(vectors):
    weights = simplex_weights(100_000, vectors, seed=1).numpy()
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    covariance = np.full((vectors, vectors), -1.0) + vectors * np.eye(vectors)
    covariance /= vectors**2 * (vectors + 1)
    np.testing.assert_allclose(np.cov(weights.T), covariance, atol=1e-3)
    np.testing.assert_allclose(weights.mean(axis=0), 1 / vectors, atol=3e-3)
    # Of f = theta_1^2 along (1, 0) and (0, 1): the mean of f is 1/3, f of the mean 1/4.
    if vectors == 2:
        assert (weights[:, 0] ** 2).mean() == pytest.approx(1 / 3, abs=3e-3)


def test_members_lie_on_the_simplex_and_their_probabilities_are_averaged():
    torch.manual_seed(0)
    model, images = nn.Linear(4, 3), torch.randn(6, 4)
    vectors = [{key: torch.randn(s.shape) for key, s in model.state_dict().items()} for _ in "ab"]
    given = dataclasses.replace(data(None, None), vectors=tuple(vectors), seed=7)
    ensemble = SIMPLEX.run(model, given, SIMPLEX.check("s", {"members": 3, "coefficient": 0.5}))
    shares = []
    for first, second in simplex_weights(3, 2, seed=7).numpy():
        weight, bias = (
            model.state_dict()[key].numpy()
            - 0.5 * (first * vectors[0][key] + second * vectors[1][key]).numpy()
            for key in ("weight", "bias")
        )
        powers = np.exp(images.numpy() @ weight.T + bias)
        shares.append(powers / powers.sum(axis=1, keepdims=True))
    averaged = ensemble(images).softmax(dim=1).detach()
    np.testing.assert_allclose(averaged, np.mean(shares, axis=0), rtol=1e-5)
    # A network with a head gives features, and the head the logits of each member.
    head = torch.randn(5, 3)
    expected = np.mean([(m(images) @ head.T).softmax(1).detach() for m in ensemble.members], axis=0)
    np.testing.assert_allclose(predict(ensemble, head, images).exp().detach(), expected, rtol=1e-5)
    again = Ensemble(nn.Linear(4, 3) for _ in range(3))
    for member, state in zip(again.members, member_states(ensemble.state_dict()), strict=True):
        member.load_state_dict(state)
    assert torch.equal(again(images), ensemble(images))
    assert member_states(model.state_dict()) == []


@pytest.mark.parametrize(
    ("name", "along", "expected"),
    [
        ("atlas", None, "along is None, expected a merge, task-arithmetic or pool"),
        ("gradfix", "pool", "along is pool, expected a merge or task-arithmetic"),
        ("finetune", "negmerge", "along is negmerge, expected none"),
        ("msa", "negmerge", "it is for language, not for classifier"),
    ],
)
def test_a_study_says_what_a_method_moves_along(name, along, expected):
    with pytest.raises(UserError, match=f"^methods.{name}: {expected}"):
        check_options(f"methods.{name}", name, Use(along=along), "classifier")
