import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy
from unlearning_examples import (
    CPU,
    IMAGES,
    Batches,
    conv_net,
    example_data,
    example_recipe,
    numbers,
    statistics,
    unlearn,
)

from negmerge.training import fit
from negmerge.unlearning import saliency_mask
from negmerge.unlearning.core import passes
from negmerge.unlearning.saliency import only_masked


def outside(model, mask):
    """The numbers of a model that a mask does not let move."""
    return torch.cat([p.detach()[~mask[name]] for name, p in model.named_parameters()])


def train_masked(model, mask, data, **settings):
    recipe, loss = example_recipe(**settings), IMAGES.loss(model, 0.0)
    batches, count = passes(data.retain, recipe.epochs), recipe.epochs * len(data.retain)
    with only_masked(model, mask) as after_step:
        fit(model, batches, count, loss, recipe, CPU, after_step=after_step)


@given(st.floats(0, 1))
def test_exactly_the_share_of_all_numbers_is_kept(keep):
    model = conv_net()
    mask = saliency_mask(model, example_data().forget_in_order, keep)
    total = sum(parameter.numel() for parameter in model.parameters())
    assert sum(int(part.sum()) for part in mask.values()) == int(total * keep)
    assert {n: m.shape for n, m in mask.items()} == {
        n: p.shape for n, p in model.named_parameters()
    }


def test_the_mask_uses_evaluation_mode_and_leaves_the_model_as_it_was():
    loader = example_data().forget_in_order
    model = conv_net().train()
    model[1].eval()  # a frozen layer stays frozen
    cross_entropy(model(next(iter(loader))[0]), next(iter(loader))[1]).backward()
    before, modes = numbers(model), [module.training for module in model.modules()]
    gradients = [parameter.grad.clone() for parameter in model.parameters()]
    mask = saliency_mask(model, loader, 0.5)
    assert torch.equal(numbers(model), before)
    assert [module.training for module in model.modules()] == modes
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)
    again = saliency_mask(conv_net().eval(), loader, 0.5)
    assert all(torch.equal(mask[name], again[name]) for name in mask)


def test_of_equal_saliencies_the_first_are_chosen():
    class Dead(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2, 2))

        def forward(self, x):
            return x

    mask = saliency_mask(
        Dead(), Batches(torch.zeros(2, 3, requires_grad=True), torch.zeros(2).long()), 0.6
    )
    assert mask["a"].tolist() == [True] * 3
    assert mask["b"].tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize(("optimizer", "clip"), [("sgd", 0.1), ("adamw", None)])
def test_weights_outside_the_mask_stay_put_under_weight_decay_and_momentum(optimizer, clip):
    model, data = conv_net(), example_data()
    mask = saliency_mask(model, data.forget_in_order, 0.5)
    still, before = outside(model, mask).clone(), numbers(model)
    moved = statistics(model)
    train_masked(model, mask, data, optimizer=optimizer, max_grad_norm=clip, weight_decay=0.5)
    assert torch.equal(outside(model, mask), still)
    assert not torch.equal(numbers(model), before)
    assert not torch.equal(statistics(model), moved)  # they are no weights


def test_salun_with_the_whole_mask_is_random_labelling():
    one, other = (
        unlearn(name, conv_net(), example_data(), epochs=1, learning_rate=0.1, **options)
        for name, options in (("salun", {"mask_share": 1.0}), ("random-label", {}))
    )
    assert torch.equal(numbers(one), numbers(other))
