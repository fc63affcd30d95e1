"""No conflict: of a later vector only what does not bring back what was forgotten before.

This project's own row for a history of requests. It reads the items to forget of each request.
"""

import torch
from pydantic import Field
from torch import Tensor, nn

from negmerge.checkpoints.states import require_finite
from negmerge.settings.recipe import NonNegative
from negmerge.unlearning.core import Data, Method, UnlearnOptions
from negmerge.vectors import widen


class Options(UnlearnOptions):
    """The options of no conflict."""

    scenarios = ("zero-shot",)
    data_used = "forget"
    vectors = "one"
    one_more = True

    coefficient: NonNegative = Field(
        1.0, description="How often what is left is subtracted; this project's choice."
    )


def without_conflict(vector: Tensor, earlier: Tensor) -> Tensor:
    """Put +0 where a vector has the opposite sign to what was subtracted before."""
    return vector.where(vector.sign() * earlier.sign() >= 0, 0.0)


@torch.no_grad()
def run(model: nn.Module, data: Data, options: Options) -> None:
    """Subtract the vector where its sign does not oppose that of what was subtracted before.

    Unlearned = base - coefficient * m * tau, with m = 0 where sign(tau) is opposite to the sign of
    the sum of all that earlier requests subtracted: the first base minus the present one.
    """
    vector, earlier = data.vectors
    for name, parameter in model.named_parameters():
        if name in vector:
            part = without_conflict(vector[name], earlier[name])
            moved = widen(parameter) - options.coefficient * part
            parameter.copy_(require_finite(moved, name, "no-conflict"))


METHOD = Method(
    run,
    title="No conflict with earlier requests",
    reference="this project, a control experiment (2026)",
    options=Options,
)
