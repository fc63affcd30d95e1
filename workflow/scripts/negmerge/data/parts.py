"""Images of a prepared data set with their labels, one part of it or a list of some."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from negmerge.data.images import Images, image_counts
from negmerge.data.splits import train_val_split

# Without a prepared split `val`, train and val are cut from `train`, so they never share an image.
PARTS = ("pretrain", "train", "val", "test")

# Pixels and labels.
Fitted = tuple[np.ndarray, Tensor]


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

    def fitted(self, numbers: Sequence[int], size: int) -> Fitted:
        """Return some images as (n, 3, size, size) uint8, see `data.fitting`, and their labels."""
        positions = self.positions[list(numbers)].numpy()
        labels = torch.as_tensor(self.images.labels[positions] + self.first_label)
        return self.images.fitted(positions, size), labels

    def thinned(self, most: int | None) -> "Listed":
        """Return at most so many of the items, evenly spread over all.

        Where images are sorted by class, the first ones would be of one class.
        """
        count = len(self)
        if most is None or count <= most:
            return self
        places = torch.arange(most) * count // most
        return Listed(self.images, self.positions[places], self.first_label)


class Part(Listed):
    """One part of a prepared data set."""

    def __init__(
        self, path: str | Path, part: str, name: str, first_label: int = 0, drafts: bool = False
    ):
        cut = part in ("train", "val") and not image_counts(path).get("val")
        images = Images(path, "train" if cut else part, drafts)
        positions = torch.arange(len(images))
        if cut:
            positions = train_val_split(len(images), name)[part == "val"]
        super().__init__(images, positions, first_label)
