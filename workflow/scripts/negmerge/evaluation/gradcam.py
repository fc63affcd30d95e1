"""Grad-CAM: which places of an image support the score of its class.

Selvaraju et al., *Grad-CAM* (ICCV 2017). The paper's Figure 3 compares the maps of the base with
those of the unlearned models.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from negmerge.data.loading import Batch
from negmerge.evaluation.accuracy import predict
from negmerge.models.last_stage import last_stage

# The number of classes that have an image in the figure.
CLASSES = 4


@dataclass(frozen=True)
class Maps:
    """The maps of some images by one network."""

    layer: str  # the layer's name in the network
    maps: Tensor  # (n, height, width) float32, from 0
    probability: Tensor  # (n,) float32, the predicted probability of the true class


@torch.no_grad()
def choose(
    network: nn.Module,
    head: Tensor | None,
    batches: Iterable[Batch],
    device: torch.device,
    classes: int = CLASSES,
) -> list[int]:
    """Choose the images to map: the first correctly classified one in each of the first classes.

    Classes go by their number. Those without a correctly classified image come after all others,
    with their first image.
    """
    network.eval()
    # By whether the image is right, by class: the place.
    first: dict[bool, dict[int, int]] = {True: {}, False: {}}
    start = 0
    for images, labels in batches:
        right = predict(network, head, images.to(device)).argmax(dim=1).cpu() == labels
        for place, label in enumerate(labels.tolist(), start):
            first[bool(right[place - start])].setdefault(label, place)
        start += len(labels)
        # Later images cannot change the choice.
        if all(number in first[True] for number in range(classes)):
            break
    wrong = [number for number in sorted(first[False]) if number not in first[True]]
    places = [first[True][number] for number in sorted(first[True])]
    return [*places, *(first[False][number] for number in wrong)][:classes]


def gradcam(network: nn.Module, head: Tensor | None, images: Tensor, labels: Tensor) -> Maps:
    """Map where the score of the true class comes from, at the network's last stage.

    A map is max(0, sum over channels of weight * activation); a channel's weight is the mean over
    all places of the derivative of the true class' logit.

    Args:
        network: as for `accuracy.predict`; put into eval mode.
        head: likewise.
        images: (n, 3, size, size), on the network's device.
        labels: (n,) int64, likewise.

    Returns:
        The maps, at the resolution of the layer, on the CPU.

    Raises:
        UserError: the last stage of the network is not known.
    """
    network.eval()
    stage = last_stage(network)
    with torch.no_grad():
        probability = predict(network, head, images).softmax(dim=1)
    with stage.as_grid() as grid:
        attribution = LayerGradCam(lambda batch: predict(network, head, batch), grid)
        maps = attribution.attribute(images, target=labels, relu_attributions=True)
    return Maps(
        stage.name,
        maps.detach().squeeze(1).cpu(),
        probability.gather(1, labels[:, None]).squeeze(1).cpu(),
    )
