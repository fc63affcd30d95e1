"""GradFix's mask: of a vector only what raises the forget set's loss when it is taken away.

Read in the authors' code, fillo-rinaldi/GradFix at 3e861a5. They add a vector to another
model, and keep what lowers its loss there; that the same mask serves negation is this project's
use. It reads the items to forget, with their labels.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from negmerge.checkpoints.states import State, require_finite
from negmerge.settings.recipe import NonNegative
from negmerge.unlearning.core import Data, Method, UnlearnOptions, batch_gradients, one_by_one


class Options(UnlearnOptions):
    """The options of GradFix."""

    scenarios = ("classifier", "language", "zero-shot")
    data_used = "forget"
    vectors = "one"

    coefficient: NonNegative = Field(
        1.0, description="How often the masked vector is subtracted; 1 in the authors' newer code."
    )
    signs: Literal["mean", "majority"] = Field(
        "mean",
        description="mean: the sign of the mean gradient, this project's choice, with which what is"
        " kept forgets to first order; majority: the sign that most items have, as in "
        "the authors' code.",
    )


def gradient_signs(model: nn.Module, data: Data, signs: str) -> State:
    """Return the sign of the gradient of the loss on the forget set: -1, 0 or 1, float32.

    In evaluation mode, on the items as they are. `mean` sums the gradients of all items, `majority`
    their signs.
    """
    batches = data.forget_in_order
    batches = one_by_one(batches) if signs == "majority" else batches
    sums: State = {}
    for count, gradients in batch_gradients(model, batches, data.objective.loss(model, 0.0)):
        for name, gradient in gradients.items():
            part = gradient.sign() if signs == "majority" else count * gradient
            sums[name] = part if name not in sums else sums[name].add_(part)
    return {name: require_finite(total, name, "gradfix").sign() for name, total in sums.items()}


def masked(vector: Tensor, sign: Tensor) -> Tensor:
    """Keep the numbers whose sign is opposite to that of the loss's gradient; the others are +0."""
    return vector.where(vector.sign() * sign < 0, 0.0)


@torch.no_grad()
def run(model: nn.Module, data: Data, options: Options) -> None:
    """Subtract the vector where fine-tuning along it has lowered the loss of the forget set.

    Unlearned = base - coefficient * m * tau, with m = 1 where sign(tau) = -sign(g), g the gradient
    of the loss on the forget set at the base. So with `mean` the loss rises at first by the sum of
    |g tau| over what is kept. What has no gradient stays, as do the statistics of batch
    normalisation.
    """
    with torch.enable_grad():
        signs = gradient_signs(model, data, options.signs)
    (vector,) = data.vectors
    kept = changed = 0
    for name, parameter in model.named_parameters():
        if name not in signs or name not in vector:
            continue
        part = masked(vector[name], signs[name])
        kept, changed = kept + part.count_nonzero(), changed + vector[name].count_nonzero()
        moved = parameter - options.coefficient * part
        parameter.copy_(require_finite(moved, name, "gradfix"))
    print(f"gradfix: {kept} of {changed} numbers are kept, {100 * kept / max(changed, 1):.1f} %")


METHOD = Method(
    run,
    title="GradFix mask",
    reference="Rinaldi et al., GradFix (ICLR 2026, arXiv 2510.09658); negated, this project",
    options=Options,
)
