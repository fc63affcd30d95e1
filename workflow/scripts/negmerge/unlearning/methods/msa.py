"""MSA: subtract what forget items teach an earlier state of the model, and add what others do.

Read in the authors' code, mehrdadsaberi/MSA_unlearning at 906bdd4. Theirs is one vector of the
forget set; a merge of a pool in its place is this project's use, and so is the search of both
coefficients by validation. Tuning reads the items to forget and a sample of those to retain.
"""

import torch
from pydantic import Field
from torch import nn

from negmerge.checkpoints.states import require_finite
from negmerge.settings.recipe import NonNegative
from negmerge.unlearning.core import Data, Method, UnlearnOptions
from negmerge.vectors import widen


class Options(UnlearnOptions):
    """The options of MSA."""

    scenarios = ("language",)
    data_used = "all"
    vectors = "one"
    one_more = True

    coefficient: NonNegative = Field(
        1.0,
        description="a: how often the forget vector is subtracted; 1 to 2 in the authors' code.",
    )
    retain_coefficient: NonNegative = Field(
        1.0, description="b: how often the retain vector is added; 1 in the authors' code."
    )


@torch.no_grad()
def run(model: nn.Module, data: Data, options: Options) -> None:
    """Set weights to theta - a (theta_1 - theta_0) + b (theta_2 - theta_0).

    theta is the model that forgets, and theta_0 an earlier state of it that has not seen what is to
    be forgotten. theta_1 is theta_0 tuned on the forget set, and theta_2 on as many items to retain
    with the same recipe. In float32 at least: in half precision small changes would be lost.
    """
    forget, retain = data.vectors
    for name, parameter in model.named_parameters():
        if name in forget:
            change = options.retain_coefficient * widen(retain[name])
            change -= options.coefficient * widen(forget[name])
            parameter.copy_(require_finite(widen(parameter) + change, name, "msa"))


METHOD = Method(
    run,
    title="MSA",
    reference="Saberi et al., model state arithmetic (ICLR 2026, arXiv 2506.20941)",
    options=Options,
)
