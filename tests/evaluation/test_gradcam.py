"""Grad-CAM against its formula, and the choice of the images."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from negmerge.evaluation.gradcam import choose, gradcam

CPU = torch.device("cpu")


def whole_numbers(*shape, seed):
    """Small whole numbers: sums and products of them are exact in float32."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-3, 4, shape, generator=generator).float()


@pytest.fixture
def convolution():
    """A convolution, the mean over its 4 x 4 places, and a linear layer; whole weights."""
    layers = OrderedDict(
        layer4=nn.Conv2d(3, 5, kernel_size=3, padding=1),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(5, 4),
    )
    network = nn.Sequential(layers)
    for seed, weight in enumerate(network.parameters()):
        weight.data = whole_numbers(*weight.shape, seed=seed)
    return network


IMAGES = whole_numbers(4, 3, 4, 4, seed=9)
LABELS = torch.tensor([2, 0, 3, 3])


def by_hand(activations, weights):
    """Weigh channels by the mean over the places of d logit / d activation, here weight / 16."""
    return torch.einsum("nk,nkij->nij", weights / 16, activations).relu()


def test_a_map_is_that_of_the_formula(convolution):
    found = gradcam(convolution, None, IMAGES, LABELS)
    activations = convolution.layer4(IMAGES).detach()
    assert torch.equal(found.maps, by_hand(activations, convolution.fc.weight.detach()[LABELS]))
    assert found.layer == "layer4"
    assert (found.maps > 0).any(dim=(1, 2)).all()
    assert (found.maps == 0).any()
    share = convolution(IMAGES).softmax(dim=1)[torch.arange(4), LABELS]
    assert torch.equal(found.probability, share.detach())


def test_a_head_makes_the_logits_of_features(convolution):
    head = whole_numbers(6, 4, seed=7)
    found = gradcam(convolution, head, IMAGES, LABELS)
    weights = (head @ convolution.fc.weight.detach())[LABELS]
    assert torch.equal(found.maps, by_hand(convolution.layer4(IMAGES).detach(), weights))


class Told(nn.Module):
    """Predicts the class that the first intensity of an image names."""

    def forward(self, images):
        return nn.functional.one_hot(images[:, 0, 0, 0].long(), 9).float()


def batches(*pairs, size=2):
    """Batches of images that are predicted as `predicted`, and truly are `label`."""
    images = torch.tensor([float(predicted) for predicted, _ in pairs]).expand(1, 3, 1, -1)
    images, labels = images.permute(3, 1, 2, 0), torch.tensor([label for _, label in pairs])
    return list(zip(images.split(size), labels.split(size), strict=True))


def test_the_first_right_image_of_each_of_the_first_classes_is_chosen():
    found = batches((1, 1), (2, 0), (0, 0), (1, 1), (0, 0), (8, 8), (3, 3), (2, 2))
    assert choose(Told(), None, found, CPU) == [2, 0, 7, 6]
    assert choose(Told(), None, found, CPU, classes=2) == [2, 0]


def test_classes_that_the_base_does_not_know_come_last():
    found = batches((1, 0), (5, 5), (3, 0), (4, 4), (0, 2))
    assert choose(Told(), None, found, CPU) == [3, 1, 0, 4]
    assert choose(Told(), None, found, CPU, classes=2) == [3, 1]
    assert choose(Told(), None, batches((1, 0), (2, 0)), CPU) == [0]


def test_images_behind_the_choice_are_not_loaded():
    def loaded():
        yield from batches((1, 1), (2, 0), (0, 0), (5, 1))
        raise AssertionError("one batch too many")

    assert choose(Told(), None, loaded(), CPU, classes=2) == [2, 0]
