"""Selective Synaptic Dampening: shrink the weights that matter much more for what is forgotten."""

from collections.abc import Iterable, Mapping
from itertools import chain

from pydantic import Field
from torch import Tensor, nn

from negmerge.checkpoints.states import require_finite
from negmerge.evaluation.accuracy import Batch
from negmerge.settings.recipe import Positive
from negmerge.unlearning.core import Data, Method, UnlearnOptions, summed_gradients, trainable


class Options(UnlearnOptions):
    data_used = "all"

    alpha: Positive = Field(
        10.0,
        description="A weight is dampened where its importance for the forget set is more than "
        "alpha times that for all images; 10 in the official scripts. Expect to tune it.",
    )
    dampening: Positive = Field(
        1.0, description="Lambda, the strength of the dampening; 1 in the official scripts."
    )


def importance(model: nn.Module, batches: Iterable[Batch]) -> dict[str, Tensor]:
    """Return each weight's importance: the mean over batches of the squared batch-mean gradient.

    In evaluation mode. As in if-loops/selective-synaptic-dampening, not the mean over samples that
    the Fisher information would be; so it depends on the size of the batches.
    """
    sums, count = summed_gradients(model, batches, squared=True)
    return {name: require_finite(total / count, name, "ssd") for name, total in sums.items()}


def dampen(
    weights: Mapping[str, Tensor],
    for_all: Mapping[str, Tensor],
    for_forget: Mapping[str, Tensor],
    alpha: float,
    dampening: float,
) -> None:
    """Dampen weights in place by min(lambda * I_all / I_forget, 1) where I_forget > alpha * I_all.

    Equations 4 and 5 of the paper. Where I_forget is 0 nothing happens.
    """
    for name, weight in weights.items():
        selected = for_forget[name] > alpha * for_all[name]
        factor = (dampening * for_all[name] / for_forget[name]).clamp(max=1)
        # Elsewhere the factor may be 0 / 0.
        weight.mul_(factor.where(selected, 1.0))


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Dampen the weights once; nothing is trained.

    All images are the batches of the retain set and those of the forget set, each in its order.
    """
    for_forget = importance(model, data.forget_in_order)
    for_all = importance(model, chain(data.retain_in_order, data.forget_in_order))
    weights = {name: parameter.detach() for name, parameter in trainable(model).items()}
    dampen(weights, for_all, for_forget, options.alpha, options.dampening)


METHOD = Method(
    run,
    title="SSD",
    reference="Foster et al., Selective Synaptic Dampening (AAAI 2024)",
    options=Options,
)
