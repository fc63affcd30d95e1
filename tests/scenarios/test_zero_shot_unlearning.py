"""A method that trains, in the scenario whose images to keep are another data set's."""

import pytest
import torch
from torch.nn import functional

from negmerge.checkpoints.states import write_state
from negmerge.models.clip import ImageEncoder, freeze, image_tower
from negmerge.scenarios import load_task
from negmerge.scenarios.unlearning import unlearn
from negmerge.settings.recipe import Augmentation, Recipe
from negmerge.unlearning import METHODS
from negmerge.unlearning.methods import perta
from tiny_study import MODEL

CPU = torch.device("cpu")
SETTINGS = {
    "name": "zero-shot",
    "model": MODEL,
    "roles": ["forget", "control"],
    "mode": "standard",
    "datasets": {"forget": "grey", "control": "grey"},
}
# Without random changes, so that the images are known.
RECIPE = Recipe(epochs=1, batch_size=9, warmup_steps=0, augmentation=Augmentation(crop_scale=None))


@pytest.fixture
def scenario(prepared, tmp_path):
    """The scenario, whose two roles have heads of their own."""
    torch.manual_seed(0)
    files = {}
    for role in SETTINGS["roles"]:
        head = 5 * functional.normalize(torch.randn(4, 16), dim=1)
        write_state(tmp_path / f"{role}.safetensors", {"head": head}, {})
        files |= {f"{role}_data": prepared, f"{role}_head": tmp_path / f"{role}.safetensors"}
    return load_task(SETTINGS, files, CPU)


@pytest.fixture
def encoder():
    torch.manual_seed(1)
    made = ImageEncoder(image_tower(MODEL))
    freeze(made, "attention")
    return made


def fisher(encoder, role):
    """The mean of squared gradients by single images, with the role's own head."""
    weights = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    batches = list(role.batches(1))
    for image, label in batches:
        loss = functional.cross_entropy(encoder.eval()(image) @ role.objective.head.T, label)
        for name, slope in zip(
            weights, torch.autograd.grad(loss, [*weights.values()]), strict=True
        ):
            total[name] += slope.square() / len(batches)
    return total


def test_perta_takes_importances_from_both_sets_by_their_own_heads(scenario, encoder, monkeypatch):
    found, plain = [], perta.importances

    def noted(*arguments):
        found.append(plain(*arguments))
        return found[-1]

    monkeypatch.setattr(perta, "importances", noted)
    roles = [scenario.role(name, "train") for name in ("forget", "control")]
    expected = [fisher(encoder, role) for role in roles]
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    options = {"epochs": 2, "learning_rate": 0.01}
    unlearn(encoder, METHODS["perta"], options, scenario, 4, RECIPE, 0)
    for importances, wanted in zip(found, expected, strict=True):
        assert importances.keys() == wanted.keys()
        for name, importance in importances.items():
            torch.testing.assert_close(importance, wanted[name], rtol=1e-4, atol=1e-9)
    moved = {
        name for name, tensor in encoder.state_dict().items() if (tensor != before[name]).any()
    }
    assert moved
    assert not [name for name in moved if ".attn." in name]


def test_control_images_that_methods_read_are_those_that_choose(scenario):
    read, chosen, forget = (
        scenario.role(role, purpose).items
        for role, purpose in (("control", "train"), ("control", "select"), ("forget", "train"))
    )
    assert len(read) == len(chosen) == 4
    assert len(forget) == 36
    for number in range(4):
        assert read[number][0].tobytes() == chosen[number][0].tobytes()
