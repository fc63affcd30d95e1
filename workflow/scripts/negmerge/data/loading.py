"""Batches of images for training and evaluation, the same for any number of loader processes."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from negmerge.data.augmentation import Transform
from negmerge.data.images import Images
from negmerge.data.splits import train_val_split
from negmerge.recipe import Recipe

# train and val are cut from the prepared split `train`, so they never share an image.
PARTS = ("pretrain", "train", "val", "test")

Batch = tuple[Tensor, Tensor]


class Part(Dataset):
    """One part of a prepared data set: its images and labels.

    Args:
        path: the prepared data set.
        part: one of `PARTS`.
        name: the data set's name, for the split rule.
        first_label: added to each label, so that several sets can share one numbering.
    """

    def __init__(self, path: str | Path, part: str, name: str, first_label: int = 0):
        self.images = Images(path, "train" if part in ("train", "val") else part)
        self.positions = torch.arange(len(self.images))
        if part in ("train", "val"):
            self.positions = train_val_split(len(self.images), name)[part == "val"]
        self.first_label = first_label

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, number: int):
        """Give the image (PIL) and the label of one item."""
        position = int(self.positions[number])
        return self.images[position], int(self.images.labels[position]) + self.first_label


class Augmented(Dataset):
    """Items with random changes that depend on seed, epoch and item, not on who loads them."""

    def __init__(self, items: Sequence, transform: Transform, seed: int):
        self.items, self.transform, self.seed = items, transform, seed

    def __getitem__(self, key: tuple[int, int]):
        """Give the image (3, size, size) and the label of item `key[1]` in epoch `key[0]`."""
        image, label = self.items[key[1]]
        seed = int(np.random.SeedSequence([self.seed, *key]).generate_state(1)[0])
        # timm and torchvision draw from these three global generators. torch.manual_seed would
        # also seed every accelerator, which takes as long as the rest of the item.
        random.seed(seed)
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)
        return self.transform(image), label


def batches_per_epoch(items: int, batch_size: int) -> int:
    """Count the batches of one epoch; the last one may be smaller."""
    return -(-items // batch_size)


def training_batches(
    items: Sequence,
    transform: Transform,
    recipe: Recipe,
    seed: int,
) -> Iterator[Batch]:
    """Give the batches of all epochs, one after the other.

    Args:
        items: gives (PIL image, label) for each number below its length.
        transform: from a PIL image to a tensor, drawing from the global random generators.
        recipe: epochs, batch size, order and loader processes.
        seed: decides the order of the items, unless it is fixed, and their random changes.

    Returns:
        An iterator of images (batch, 3, size, size) float32 and labels (batch,) int64.
    """
    keys = []
    for epoch in range(recipe.epochs):
        generator = torch.Generator().manual_seed(0 if recipe.fixed_order else seed + epoch)
        order = torch.randperm(len(items), generator=generator).tolist()
        keys += [
            [(epoch, item) for item in order[start : start + recipe.batch_size]]
            for start in range(0, len(order), recipe.batch_size)
        ]
    yield from DataLoader(
        Augmented(items, transform, seed),
        batch_sampler=keys,
        num_workers=recipe.workers,
        pin_memory=torch.cuda.is_available(),
    )


class _Transformed(Dataset):
    """Items through a transform without randomness."""

    def __init__(self, items: Sequence, transform: Transform):
        self.items, self.transform = items, transform

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int):
        image, label = self.items[number]
        return self.transform(image), label


def evaluation_batches(
    items: Sequence, transform: Transform, batch_size: int, workers: int = 0
) -> DataLoader:
    """Give the items once, in their order, through a transform without randomness.

    Returns:
        A loader of images (batch, 3, size, size) float32 and labels (batch,) int64.
    """
    return DataLoader(
        _Transformed(items, transform),
        batch_size=batch_size,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )
