"""A tiny classifier, loaders of its images, and runs of unlearning methods on them."""

import dataclasses
import itertools

import torch
from torch import nn

from negmerge.evaluation.accuracy import Classification
from negmerge.settings.recipe import Recipe
from negmerge.unlearning import METHODS, Data, recipe_for

CPU = torch.device("cpu")
CLASSES = 4
IMAGES = Classification(None, CPU)


class Batches:
    """A loader of the same images in each epoch, in an order of its own if it shuffles."""

    def __init__(self, images, labels, size=8, shuffle=False):
        self.images, self.labels, self.size, self.shuffle = images, labels, size, shuffle
        self.epochs = 0

    def __len__(self):
        return -(-len(self.images) // self.size)

    def __iter__(self):
        order = torch.arange(len(self.images))
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.epochs)
            order = torch.randperm(len(order), generator=generator)
        self.epochs += 1
        for part in order.split(self.size):
            yield self.images[part], self.labels[part]


class Unreadable:
    """A loader that must not be read."""

    def __len__(self):
        raise AssertionError("counted")

    def __iter__(self):
        raise AssertionError("read")


def images(count, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    shift = labels[:, None, None, None] / (2 * CLASSES)
    return torch.rand(count, 3, 4, 4, generator=generator) / 2 + shift, labels


def example_data(seed=0, forget=12, retain=28):
    few, many = images(forget, 1), images(retain, 2)
    return Data(
        forget=Batches(*few, shuffle=True),
        retain=Batches(*many, shuffle=True),
        forget_in_order=Batches(*few),
        retain_in_order=Batches(*many),
        retain_augmented=Batches(many[0].flip(3), many[1]),
        objective=IMAGES,
        classes=CLASSES,
        seed=seed,
        recipe=example_recipe(),
    )


def conv_net(seed=0):
    """A convolution, batch normalisation and a linear layer, with statistics that are in use."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(3, 5, 3, padding=1),
            nn.BatchNorm2d(5),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(5, CLASSES),
        )
        model(images(16, 3)[0])
    return model


def example_recipe(**settings):
    """SalUn's settings of SGD."""
    return Recipe(
        **{
            "epochs": 2,
            "learning_rate": 0.01,
            "optimizer": "sgd",
            "weight_decay": 5e-4,
            "warmup_steps": 0,
            "max_grad_norm": None,
            "schedule": "constant",
        }
        | settings
    )


def unlearn(name, model, data, **options):
    method = METHODS[name]
    checked = method.check(name, options)
    method.run(model, dataclasses.replace(data, recipe=recipe_for(data.recipe, checked)), checked)
    return model


def numbers(model):
    """All numbers of a model's state, one after the other."""
    return torch.cat([tensor.detach().flatten().double() for tensor in model.state_dict().values()])


def statistics(model):
    return torch.cat([b.flatten().double() for b in model.buffers()])


def same_bytes(one, other):
    pairs = itertools.zip_longest(one.state_dict().items(), other.state_dict().items())
    return all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in pairs)
