"""Unlearning methods against the numbers of the official code."""

import pytest
import torch
from torch import nn
from unlearning_examples import CPU, IMAGES, Batches, example_recipe, unlearn

from negmerge.training import fit
from negmerge.unlearning import Data, saliency_mask
from negmerge.unlearning.core import batch_gradients, passes
from negmerge.unlearning.methods.boundary_shrink import adversarial_images, nearest_labels
from negmerge.unlearning.methods.influence import influence_direction, inverse_fisher
from negmerge.unlearning.saliency import only_masked


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.bn, self.fc2 = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 5)

    def forward(self, x):
        return self.fc2(torch.tanh(self.bn(self.fc1(x))))


def loaded(model, state):
    model.load_state_dict(state)
    return model


def batches(file, prefix, size=16):
    state = file.state(prefix)
    return Batches(state["x"], state["y"], size)


def golden_data(file):
    forget, retain = batches(file, "forget"), batches(file, "retain")
    return Data(forget, retain, forget, retain, retain, IMAGES, 5, 0, example_recipe())


def assert_state(model, expected):
    assert model.state_dict().keys() == expected.keys()
    for name, value in expected.items():
        state = model.state_dict()[name]
        torch.testing.assert_close(state, value, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("expected", "method", "options"),
    [
        ("FT", "finetune", {"learning_rate": 0.05}),
        ("GA", "gradient-ascent", {"learning_rate": 0.005}),
        ("FT_l1", "l1-sparse", {"learning_rate": 0.05, "alpha": 1e-3}),
        ("FT_l1_noepochs1", "l1-sparse", {"learning_rate": 0.05, "alpha": 1e-3, "plain_epochs": 1}),
    ],
)
def test_two_epochs_are_the_official_ones(golden, expected, method, options):
    file = golden("unlearn_steps")
    model = loaded(Small(), file.state("theta0"))
    unlearn(method, model, golden_data(file), epochs=2, **options)
    assert_state(model, file.state(expected))


def test_masked_training_is_the_official_one_since_the_weights_are_put_back(golden):
    file = golden("unlearn_steps")
    model, data = loaded(Small(), file.state("theta0")), golden_data(file)
    mask = {name: tensor.bool() for name, tensor in file.state("mask").items()}
    recipe = example_recipe(learning_rate=0.05)
    with only_masked(model, mask) as after_step:
        loss = IMAGES.loss(model, 0.0)
        stream = passes(data.retain, 2)
        fit(model, stream, 2 * len(data.retain), loss, recipe, CPU, after_step=after_step)
    assert_state(model, file.state("FT_masked"))
    drifted = file.state("FT_masked_before_fix")
    distances = {name: (model.state_dict()[name] - drifted[name]).abs() for name in mask}
    assert max(distances[name][~mask[name]].max() for name in mask) > 1e-4


@pytest.mark.parametrize("keep", [0.1, 0.3, 0.5, 0.9, 1.0])
def test_masks_are_exactly_the_official_ones(golden, keep):
    file = golden("salun_mask")
    model = loaded(Small(), file.state("model"))
    mask = saliency_mask(model, batches(file, "forget"), keep)
    expected = file.state(f"mask_{keep}")
    assert mask.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(mask[name], value.bool()), name


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 5)

    def forward(self, x):
        return self.fc(x)


def test_influence_is_the_official_one(golden):
    file = golden("iu_linear")
    model, data = loaded(Linear(), file.state("model")), golden_data(file)
    vector = influence_direction(model, data.forget_in_order, data.retain_in_order)
    torch.testing.assert_close(vector, torch.from_numpy(file["v"]), rtol=0, atol=1e-5)
    singles = [
        torch.cat([g.flatten() for g in gradients.values()])
        for _, gradients in batch_gradients(model, batches(file, "retain", size=1))
    ]
    product = inverse_fisher(vector, singles, file.meta["N"])
    torch.testing.assert_close(product, torch.from_numpy(file["perturb"]), rtol=0, atol=1e-5)
    # The approximate inverse moves the vector along the first gradient only.
    cosine = torch.cosine_similarity(vector - product, singles[0], dim=0)
    expected = file.meta["first_retain_gradient_cosine_with_correction"]
    assert cosine == pytest.approx(expected, abs=1e-3)
    unlearn("influence", model, data, alpha=file.meta["alpha"])
    assert_state(model, file.state("unlearned"))


def test_adversarial_images_and_their_labels_are_the_official_ones(golden):
    file = golden("boundary_shrink_fgsm")
    layer = nn.Linear(12, 4)
    layer.load_state_dict({name: torch.from_numpy(file[name]) for name in ("weight", "bias")})
    model = nn.Sequential(nn.Flatten(), layer)
    moved = adversarial_images(model, torch.from_numpy(file["x"]), torch.from_numpy(file["y"]))
    torch.testing.assert_close(moved, torch.from_numpy(file["x_adv"]), rtol=0, atol=1e-6)
    labels = nearest_labels(model, moved)
    assert torch.equal(labels, torch.from_numpy(file["adv_label"]))
    assert (labels == torch.from_numpy(file["y"])).sum() == 15
