"""Boundary Expanding: move what is to be forgotten into a class that does not exist."""

import torch
from torch import Tensor, nn

from negmerge.models.classifiers import last_linear
from negmerge.seeds import derive_seed
from negmerge.unlearning.core import Data, Method, fit_set
from negmerge.unlearning.methods.boundary_shrink import Boundary


def expand(model: nn.Module, seed: int) -> int:
    """Add one more output to the last linear layer of a model, and return its label.

    The new row and bias are drawn as torch draws them, uniformly from -1/sqrt(d) to 1/sqrt(d) with
    d inputs; the other rows stay as they are, and the layer stays the same object.
    """
    _, layer = last_linear(model)
    generator = torch.Generator().manual_seed(derive_seed(seed, "boundary-expand"))
    bound = layer.in_features**-0.5
    for name in ("weight", "bias"):
        old = getattr(layer, name)
        if old is not None:
            row = torch.empty(1, *old.shape[1:]).uniform_(-bound, bound, generator=generator)
            wider = torch.cat([old.detach(), row.to(old)])
            setattr(layer, name, nn.Parameter(wider, requires_grad=old.requires_grad))
    layer.out_features += 1
    return layer.out_features - 1


def run(model: nn.Module, data: Data, options: Boundary) -> None:
    """Expand the model and train on the forget set with the new label.

    The additional output stays, as in OPTML-Group/Unlearn-Saliency: it takes part in accuracies and
    in the softmax that an attack sees.
    """
    label, fit_to = expand(model, data.seed), data.loss(model)

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return fit_to(images, torch.full_like(labels, label))

    fit_set(model, data, data.forget, loss)


METHOD = Method(
    run,
    title="Boundary Expanding",
    reference="Chen et al., Boundary Unlearning (CVPR 2023)",
    options=Boundary,
)
