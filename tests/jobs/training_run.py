"""A short training run with all that draws at random, and how it is cut off."""

import math
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from negmerge.data.augmentation import training_transform
from negmerge.data.loading import TrainingBatches
from negmerge.models.devices import tuned
from negmerge.settings.compute import Compute
from negmerge.settings.recipe import Augmentation, Recipe
from negmerge.training import fit

CPU = torch.device("cpu")
RANDOM = Augmentation(crop_scale=None, padding=1, flip=0.5)
TRANSFORM = training_transform(RANDOM, 8, (0.5,) * 3, (0.5,) * 3)
SGD = {"optimizer": "sgd", "momentum": 0.9, "nesterov": True}


class Items:
    """Images of noise."""

    def __len__(self):
        return 10

    def __getitem__(self, number):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        return Image.fromarray(pixels), number % 4


class Killed(BaseException):
    """As if the power was cut."""


def power_cut():
    raise Killed


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.3), nn.Flatten(), nn.Linear(144, 4)
    )


def train(saved, stop=power_cut, during=math.inf, compute=None, loaders=0, **settings):
    """Train to the end, or until `stop` is called in the loss of a step, counted from this start.

    Returns:
        The network's state, with that of what the loss draws from.
    """
    compute = compute or Compute()
    recipe = Recipe(**{"epochs": 3, "batch_size": 4, "learning_rate": 0.05} | settings)
    net, noise, calls = tuned(network(), compute), torch.Generator().manual_seed(3), 0

    def loss(images, labels):
        nonlocal calls
        calls += 1
        if calls == during * recipe.grad_accum_steps:
            stop()
        weights = torch.rand(len(labels), generator=noise)
        return (functional.cross_entropy(net(images), labels, reduction="none") * weights).mean()

    batches = TrainingBatches(Items(), TRANSFORM, recipe, 5, loaders=loaders)
    named = {"seed": 7, "generators": [noise], "saved": saved, "fused": compute.fused}
    fit(net, batches, len(batches), loss, recipe, CPU, lambda line: None, **named)
    return net.state_dict() | {"noise": noise.get_state()}


@cache
def undisturbed(settings=()):
    return train(None, **dict(settings))


def assert_same(found, settings=()):
    expected = undisturbed(tuple(settings.items()) if settings else ())
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
