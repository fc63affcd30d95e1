import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional
from unlearning_examples import (
    IMAGES,
    Batches,
    conv_net,
    example_data,
    images,
    same_bytes,
    statistics,
    unlearn,
)

from negmerge.errors import UserError
from negmerge.unlearning.methods.perta import importances, subtract_weighed
from negmerge.unlearning.passes import one_by_one


def state(*values):
    return {"w": torch.tensor(values, dtype=torch.float32)}


def test_the_weighed_vector_is_subtracted():
    rng = np.random.default_rng(0)
    base, tuned, weight = rng.normal(size=(3, 5)).astype(np.float32)
    parts = ({"w": torch.from_numpy(part)} for part in (base, tuned, weight))
    found = subtract_weighed(*parts, 0.7)["w"]
    np.testing.assert_allclose(found, base - 0.7 * weight * (tuned - base), rtol=1e-6)


@pytest.mark.parametrize("kind", ["fisher", "gradient"])
def test_importances_are_those_of_single_items(kind):
    model, (pictures, labels) = conv_net().eval(), images(6, 4)
    each = []
    for picture, label in zip(pictures, labels, strict=True):
        loss = functional.cross_entropy(model(picture[None]), label[None])
        each.append(torch.autograd.grad(loss, model[5].weight)[0])
    stacked = torch.stack(each)
    expected = stacked.square().mean(0) if kind == "fisher" else stacked.mean(0).abs()
    items = one_by_one(Batches(pictures, labels, size=4))
    found = importances(model, items, IMAGES.loss(model, 0.0), kind)
    assert found.keys() == dict(model.named_parameters()).keys()
    torch.testing.assert_close(found["5.weight"], expected, rtol=1e-4, atol=1e-7)


def test_a_coefficient_of_0_is_the_base_and_statistics_stay():
    assert same_bytes(unlearn("perta", conv_net(), example_data(), coefficient=0.0), conv_net())
    moved = unlearn("perta", conv_net(), example_data(), learning_rate=0.05)
    assert torch.equal(statistics(moved), statistics(conv_net()))
    assert not same_bytes(moved, conv_net())


def test_weights_that_both_sets_need_as_much_move_half_as_far():
    plain = Batches(*images(12, 1))
    same = dataclasses.replace(example_data(), forget=plain, retain=plain)
    options = {"epochs": 2, "learning_rate": 0.05}
    half, tuned = (unlearn(name, conv_net(), same, **options) for name in ("perta", "finetune"))
    for name, parameter in half.named_parameters():
        base, far = conv_net().get_parameter(name), tuned.get_parameter(name)
        torch.testing.assert_close(parameter, base - 0.5 * (far - base), rtol=0, atol=1e-6)


def test_both_sets_are_needed():
    for part in ("forget", "retain"):
        data = dataclasses.replace(example_data(), **{part: []})
        with pytest.raises(UserError, match=r"^perta: the forget or the retain set is empty"):
            unlearn("perta", conv_net(), data)
