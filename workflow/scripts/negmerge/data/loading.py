"""The items of prepared data sets, and their batches: in random order for training only."""

import random
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate, get_worker_info

from negmerge.data.augmentation import Changes, Transform
from negmerge.data.images import Images, image_counts
from negmerge.data.splits import evenly_spread, train_val_split
from negmerge.settings.recipe import Recipe

Batch = tuple[Tensor, Tensor]
CPU = torch.device("cpu")


class Listed(Dataset):
    """Some images of a prepared data set with their labels, in a given order."""

    def __init__(self, images: Images, positions: Sequence[int] | Tensor, first_label: int = 0):
        self.images, self.first_label = images, first_label
        self.positions = torch.as_tensor(positions, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, number: int):
        """Return the image (PIL) and the label of one item."""
        position = int(self.positions[number])
        return self.images[position], int(self.images.labels[position]) + self.first_label

    def fitted(self, numbers: Sequence[int], size: int) -> tuple[np.ndarray, Tensor]:
        """Return some images as (n, 3, size, size) uint8, see `Images.fitted`, and their labels."""
        positions = self.positions[list(numbers)].numpy()
        labels = torch.as_tensor(self.images.labels[positions] + self.first_label)
        return self.images.fitted(positions, size), labels

    def thinned(self, most: int | None) -> "Listed":
        """Return at most so many of the items, evenly spread."""
        if most is None or len(self) <= most:
            return self
        places = evenly_spread(len(self), most)
        return Listed(self.images, self.positions[places], self.first_label)


class Part(Listed):
    """One part of a prepared data set; without a prepared split `val`, it is cut from `train`."""

    def __init__(
        self, path: str | Path, part: str, name: str, first_label: int = 0, drafts: bool = False
    ):
        cut = part in ("train", "val") and not image_counts(path).get("val")
        images = Images(path, "train" if cut else part, drafts)
        positions = torch.arange(len(images))
        if cut:
            positions = train_val_split(len(images), name)[part == "val"]
        super().__init__(images, positions, first_label)


class Augmented(Dataset):
    """Items with random changes that depend on seed, epoch and item, not on who loads them."""

    def __init__(self, items: Sequence, transform: Transform, seed: int):
        self.items, self.transform, self.seed = items, transform, seed
        self._is_random = getattr(transform, "is_random", True)

    def __getitems__(self, keys: list[tuple[int, int]]) -> Batch:
        """Return a batch by epochs and items, at once as far as items and transform can do that."""
        transform = self.transform
        if _is_batched(self.items, transform):
            images, labels = self.items.fitted([item for _, item in keys], transform.size)
            return transform.of_batch(images, map(self._seed_of, keys)), labels
        if not isinstance(transform, Changes):
            return default_collate([self._changed(key, transform) for key in keys])
        images, labels = zip(*(self._changed(key, transform.changed) for key in keys), strict=True)
        return transform.normalise.images(images), torch.tensor(labels)

    def _changed(self, key: tuple[int, int], change: Callable) -> tuple[Any, int]:
        image, label = self.items[key[1]]
        if self._is_random:
            # timm and torchvision draw from the three global generators.
            seed = self._seed_of(key)
            random.seed(seed)
            np.random.seed(seed)
            # torch.manual_seed would also seed every accelerator, which takes as long as the rest.
            torch.default_generator.manual_seed(seed)
        return change(image), label

    def _seed_of(self, key: tuple[int, int]) -> int:
        return int(np.random.SeedSequence([self.seed, *key]).generate_state(1)[0])


def _is_batched(items: object, transform: object) -> bool:
    return hasattr(items, "fitted") and hasattr(transform, "of_batch")


def batches_per_epoch(items: int, batch_size: int) -> int:
    """Count the batches of one epoch; the last one may be smaller."""
    return -(-items // batch_size)


@dataclass(frozen=True, eq=False)
class TrainingBatches:
    """The batches of all epochs: images (n, 3, size, size) float32 and labels (n,) int64."""

    items: Sequence  # gives (PIL image, label) for each number below its length
    transform: Transform  # from a PIL image to a tensor, drawing from the global random generators
    recipe: Recipe  # epochs, batch size and order
    seed: int  # decides the order of the items, unless it is fixed, and their random changes
    skip: int = 0  # how many batches are left out at the start
    loaders: int = 0  # processes that load the images; they are the same with any number
    device: torch.device = CPU  # where the batches go; for a GPU they wait in pinned memory

    def __len__(self) -> int:
        return max(self.recipe.epochs * self._each - self.skip, 0)

    def __iter__(self) -> Iterator[Batch]:
        yield from _loader(
            Augmented(self.items, self.transform, self.seed),
            self.loaders,
            self.device,
            batch_sampler=self._keys(),
            worker_init_fn=_leave_signals_to_the_job,
        )

    def after(self, count: int) -> "TrainingBatches":
        """Return what follows the first `count` batches, without loading these."""
        return replace(self, skip=self.skip + count)

    def _keys(self) -> Iterator[list[tuple[int, int]]]:
        """Yield the keys of each batch; those of all epochs at once may be millions."""
        first, rest = divmod(self.skip, self._each)
        for epoch in range(first, self.recipe.epochs):
            batches = _batches(self.items, self.recipe, self.seed, epoch)
            yield from batches[rest if epoch == first else 0 :]

    @property
    def _each(self) -> int:
        return batches_per_epoch(len(self.items), self.recipe.batch_size)


class Epochs:
    """Training batches, an epoch each time one iterates; `in_order`: they are not shuffled."""

    def __init__(
        self,
        items: Sequence,
        transform: Transform,
        recipe: Recipe,
        seed: int,
        in_order: bool = False,
        loaders: int = 0,
        device: torch.device = CPU,
    ):
        self._each = batches_per_epoch(len(items), recipe.batch_size)
        keys = _NextEpoch(items, recipe, seed, in_order)
        augmented = Augmented(items, transform, seed)
        self._loader = _loader(
            augmented, loaders, device, batch_sampler=keys, persistent_workers=loaders > 0
        )

    def __len__(self) -> int:
        return self._each

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._loader)


class _NextEpoch:
    """The keys of the batches of one epoch, another one each time."""

    def __init__(self, items: Sequence, recipe: Recipe, seed: int, in_order: bool):
        self._items, self._recipe, self._seed = items, recipe, seed
        self._in_order, self._epochs = in_order, count()

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        # A generator: torch asks for more iterators than it uses, and these are not epochs.
        epoch = next(self._epochs)
        yield from _batches(self._items, self._recipe, self._seed, epoch, self._in_order)


def _batches(
    items: Sequence, recipe: Recipe, seed: int, epoch: int, in_order: bool = False
) -> list[list[tuple[int, int]]]:
    """List the batches of an epoch: epoch and item of each image."""
    order = list(range(len(items)))
    if not in_order:
        generator = torch.Generator().manual_seed(0 if recipe.fixed_order else seed + epoch)
        order = torch.randperm(len(items), generator=generator).tolist()
    return [
        [(epoch, item) for item in order[start : start + recipe.batch_size]]
        for start in range(0, len(order), recipe.batch_size)
    ]


def _loader(items: Dataset, loaders: int, device: torch.device, **options: Any) -> DataLoader:
    """Build a loader of items that give whole batches."""
    # On any other device, pinned memory would take hold of a GPU that the job was not given.
    pinned = device.type == "cuda"
    return DataLoader(
        items, num_workers=loaders, pin_memory=pinned, collate_fn=_as_it_is, **options
    )


def _as_it_is(batch: Batch) -> Batch:
    """Return a batch, in shared memory; where torch puts it there later, a full one is lost."""
    if get_worker_info():
        for part in batch:
            if isinstance(part, Tensor):
                part.share_memory_()
    return batch


def _leave_signals_to_the_job(worker: int) -> None:
    """Ignore a scheduler's signals in a loader process, so that the job can save its state."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


class _Stored(Dataset):
    """Items through a transform without randomness, images without its normalisation."""

    def __init__(self, items: Sequence, transform: Transform):
        self.items, self.transform = items, transform
        self._is_batched = _is_batched(items, transform)
        self._change = getattr(transform, "pixels", transform)

    def __len__(self) -> int:
        return len(self.items)

    def __getitems__(self, numbers: list[int]) -> Batch:
        """Return a batch, all images at once where items and transform can do that."""
        if not self._is_batched:
            items = (self.items[number] for number in numbers)
            return default_collate([(self._change(item), label) for item, label in items])
        pixels, labels = self.items.fitted(numbers, self.transform.size)
        return torch.from_numpy(pixels), labels


class EvaluationBatches:
    """Items once, in order; images are moved as uint8 and normalised on the device, labels stay."""

    def __init__(
        self,
        items: Sequence,
        transform: Transform,
        batch_size: int,
        loaders: int = 0,
        device: torch.device = CPU,
    ):
        self._normalise = transform.normalise if hasattr(transform, "pixels") else None
        self.device, self.items = device, len(items)
        self.stored = _loader(_Stored(items, transform), loaders, device, batch_size=batch_size)

    def __len__(self) -> int:
        return len(self.stored)

    def __iter__(self) -> Iterator[Batch]:
        for inputs, labels in self.stored:
            yield self.prepared(inputs), labels

    def prepared(self, inputs: Tensor) -> Tensor:
        """Return stored inputs as a network takes them, on the device."""
        if self.device.type == "cuda" and not inputs.is_cuda:
            # Else the copy would hold up this process.
            inputs = inputs.pin_memory()
        moved = inputs.to(self.device, non_blocking=True)
        return moved if self._normalise is None else self._normalise.pixels(moved)
