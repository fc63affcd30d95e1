"""Right answers on validation images of a base that is moved along vectors."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from negmerge.data.augmentation import evaluation_transform
from negmerge.data.loading import Batch, Part, evaluation_batches
from negmerge.errors import UserError
from negmerge.evaluation.accuracy import Accuracy, accuracy
from negmerge.evaluation.search import Count
from negmerge.models.clip import image_encoder
from negmerge.states import State, read_state
from negmerge.vectors import apply

# A vector's name -> the vector, and how errors call it.
Read = Callable[[str], tuple[State, str | Path]]


class _Set:
    """The images of one role in batches, those that will tell most about a coefficient first.

    The images that the base gets right by the widest margin say first that a coefficient does not
    forget, and those at the other end that it does not keep the control accuracy. So their order is
    that of the base's confidence, falling for `forget` and rising for `control`.
    """

    def __init__(
        self,
        role: str,
        base: nn.Module,
        head: Tensor,
        batches: Iterable[Batch],
        device: torch.device,
    ):
        self.head, self.device = head, device
        self.images, labels, confidences, right = [], [], [], []
        for images, truth in batches:
            with torch.no_grad():
                logits = (base(images.to(device)) @ head.T).cpu()
            confidences.append(logits.softmax(dim=1).gather(1, truth[:, None])[:, 0])
            right.append(logits.argmax(dim=1) == truth)
            labels.append(truth)
            # One by one, without a copy: batches in the new order are put together when needed.
            self.images += images.unbind()
        self.labels, self.right_of_base = torch.cat(labels), torch.cat(right)
        order = torch.cat(confidences).argsort(stable=True, descending=role == "forget")
        self.order = order.split(max(map(len, labels)))

    def count(self, encoder: nn.Module, batch: int) -> int:
        places = self.order[batch]
        images = torch.stack([self.images[place] for place in places])
        found = accuracy(encoder, self.head, [(images, self.labels[places])], self.device)
        return found.correct


class Validation:
    """A base, and the images on which it is measured after a vector was subtracted.

    Args:
        encoder: from images to features, with the weights of the base.
        base: these weights.
        sets: by role (`forget`, `control`): the head, and batches of images and labels. The images
            stay in memory, since every coefficient passes over them.
        device: where to compute.

    Attributes:
        sizes: images in each batch by role.
    """

    def __init__(
        self,
        encoder: nn.Module,
        base: State,
        sets: Mapping[str, tuple[Tensor, Iterable[Batch]]],
        device: torch.device,
    ):
        self._encoder, self._base = encoder.eval(), base
        self._sets = {role: _Set(role, encoder, *pair, device) for role, pair in sets.items()}
        self.sizes = {role: [len(b) for b in found.order] for role, found in self._sets.items()}

    def counting(self, read: Read) -> Count:
        """Give a function that counts the right answers of base - coefficient * vector in a batch.

        It keeps one vector in memory, the last. At coefficient 0, where the model is the base, it
        gives what was counted when the images were read.
        """
        name = moved = None
        vector, where = {}, ""

        def count(wanted: str, coefficient: float, role: str, batch: int) -> int:
            nonlocal name, moved, vector, where
            if coefficient == 0:
                found = self._sets[role]
                return int(found.right_of_base[found.order[batch]].sum())
            if wanted != name:
                name, moved = wanted, None
                vector, where = read(wanted)
            if coefficient != moved:
                self._encoder.load_state_dict(apply(self._base, vector, -coefficient, where))
                moved = coefficient
            return self._sets[role].count(self._encoder, batch)

        return count

    def accuracies(self, count: Count, vector: str, coefficient: float) -> dict[str, Accuracy]:
        """Count the right answers in all batches, by role."""
        return {
            role: Accuracy(
                sum(count(vector, coefficient, role, batch) for batch in range(len(sizes))),
                sum(sizes),
            )
            for role, sizes in self.sizes.items()
        }


def load_validation(
    model: Mapping,
    base: str,
    datasets: Mapping[str, str],
    files: Mapping[str, str],
    batch_size: int,
    device: torch.device,
) -> Validation:
    """Read the base, the heads and the validation images.

    Args:
        model: a row of `config/models.yaml`.
        base: the file of the weights before forgetting.
        datasets: the data sets' names by role.
        files: `{role}_data`, a prepared data set, and `{role}_head`, for each role.
        batch_size: images per forward pass.
        device: where to compute.

    Raises:
        UserError: a file that is missing, damaged or of another model.
    """
    state = read_state(base)
    encoder = image_encoder(model, state, base).to(device)
    transform = evaluation_transform(model["size"], model["mean"], model["std"])
    sets = {}
    for role, name in datasets.items():
        head = read_state(files[f"{role}_head"])["head"].to(device)
        items = Part(files[f"{role}_data"], "val", name)
        if not len(items):
            raise UserError(f"{files[f'{role}_data']}: too few images to validate on")
        sets[role] = head, evaluation_batches(items, transform, batch_size)
    return Validation(encoder, state, sets, device)
