"""NegGrad+: descend on what is retained and ascend on what is to be forgotten, in each step."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from negmerge.errors import UserError
from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.neggrad_plus import Options
from negmerge.training import fit
from negmerge.unlearning.passes import cross_entropy, passes
from negmerge.unlearning.registry import Data, Loader, Method


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise alpha * CE(retain batch) - (1 - alpha) * CE(forget batch), in training mode.

    An epoch is a pass over the retain set. Forget batches are taken as they come, pass after pass;
    meghdadk/SCRUB begins anew with the first of them in each epoch. The two batches go through the
    model one after the other, so batch normalisation does not mix them.

    Raises:
        UserError: there is nothing to forget.
    """
    if not len(data.forget):
        raise UserError("neggrad-plus: the forget set is empty")
    part = cross_entropy(model, recipe)

    def loss(images: Tensor, labels: Tensor, forget: Tensor, forget_labels: Tensor) -> Tensor:
        retained, forgotten = part(images, labels), part(forget, forget_labels)
        return options.alpha * retained - (1 - options.alpha) * forgotten

    pairs = zip(passes(data.retain, recipe.epochs), _endless(data.forget), strict=False)
    batches = ((*retain, *forget) for retain, forget in pairs)
    fit(model, batches, recipe.epochs * len(data.retain), loss, recipe, device, seed=data.seed)


def _endless(loader: Loader) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loader


METHOD = Method(
    run,
    title="NegGrad+",
    reference="Kurmanji et al., Towards Unbounded Machine Unlearning (NeurIPS 2023)",
    options=Options,
)
