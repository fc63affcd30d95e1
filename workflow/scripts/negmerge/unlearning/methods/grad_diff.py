"""GradDiff: raise the loss of what is to be forgotten, and lower that of what is retained."""

from torch import nn

from negmerge.unlearning.core import Balanced, Data, Method, fit_both, minus


class Options(Balanced):
    scenarios = ("classifier", "language")


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise alpha * loss(retain batch) - gamma * loss(forget batch).

    An epoch is a pass over the forget set, as in open-unlearning; NegGrad+ is the same with epochs
    of the retain set and weights that add up to 1.
    """
    fit_both(model, data, options, minus(data.loss(model)))


METHOD = Method(
    run,
    title="GradDiff",
    reference="Liu et al., Continual Learning and Private Unlearning (CoLLAs 2022), as in TOFU",
    options=Options,
)
