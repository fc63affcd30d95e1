"""Boundary Shrink: give what is to be forgotten the class across its nearest decision boundary."""

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from negmerge.settings.recipe import Positive
from negmerge.unlearning.core import Data, Method, TrainingOptions, evaluating, fit_set, frozen_copy


class Boundary(TrainingOptions):
    """The options that Boundary Shrink and Boundary Expanding share."""

    data_used = "forget"

    epochs: PositiveInt = Field(
        10, description="Passes over the forget set; 10 by SalUn's authors (WorstCase, issue 1)."
    )
    learning_rate: Positive = Field(
        1e-5,
        description="Peak rate; this project's choice. SalUn's authors search upwards from 1e-8 "
        "(Unlearn-WorstCase, issue 1).",
    )


class Options(Boundary):
    bound: Positive = Field(
        0.1,
        le=1,
        description="Size of the adversarial step, where images are in 0..1; 0.1 in the paper "
        "and in Unlearn-Saliency's code.",
    )


def adversarial_images(
    model: nn.Module, images: Tensor, labels: Tensor, bound: float = 0.1
) -> Tensor:
    """Move images in 0..1 by one fast gradient sign step of `bound` up the loss of their labels.

    The model is in evaluation mode then. The images are cut to 0..1 and then rounded to multiples
    of 1/255, as in OPTML-Group/Unlearn-Saliency.
    """
    images = images.detach().clone().requires_grad_()
    with evaluating(model):
        loss = functional.cross_entropy(model(images), labels)
    (gradient,) = torch.autograd.grad(loss, images)
    moved = (images.detach() + bound * gradient.sign()).clamp(0, 1)
    return (moved * 255).round() / 255


@torch.no_grad()
def nearest_labels(model: nn.Module, adversarial: Tensor) -> Tensor:
    """Return the classes that a model in evaluation mode sees, (n,); they may be the true ones."""
    with evaluating(model):
        return model(adversarial).argmax(dim=1)


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Train on the forget set with the labels that the original gives its adversarial images.

    The original is a frozen copy. The images that are trained on are not the adversarial ones.
    If the adversarial label is the true one, training keeps the image in its class instead.
    """
    original, fit_to = frozen_copy(model), data.loss(model)

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        adversarial = adversarial_images(original, images, labels, options.bound)
        return fit_to(images, nearest_labels(original, adversarial))

    fit_set(model, data, data.forget, loss)


METHOD = Method(
    run,
    title="Boundary Shrink",
    reference="Chen et al., Boundary Unlearning (CVPR 2023)",
    options=Options,
)
