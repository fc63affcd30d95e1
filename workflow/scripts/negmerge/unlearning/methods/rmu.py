"""RMU: steer what a layer makes of what is to be forgotten to a random direction."""

import torch
from pydantic import Field, NonNegativeInt
from torch import Tensor, nn

from negmerge.data.answer_tokens import WITHOUT_LOSS, without_padding
from negmerge.errors import UserError
from negmerge.seeds import derive_seed
from negmerge.settings.recipe import Positive
from negmerge.unlearning.core import Balanced, Data, Method, fit_both, frozen_copy


class Options(Balanced):
    layer: NonNegativeInt = Field(
        7,
        description="The layer whose output is steered, from 0; 7 in open-unlearning's code, for "
        "models of 16 layers and more.",
    )
    steering: Positive = Field(
        2.0,
        description="Length of the vector that outputs are drawn to; 2 in open-unlearning's code, "
        "10 in searches of others.",
    )


def direction(dimensions: int, seed: int) -> Tensor:
    """Draw a unit vector (dimensions,) from numbers that are uniform in 0..1."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "rmu"))
    drawn = torch.rand(dimensions, generator=generator)
    return drawn / drawn.norm()


def hidden_of(model: nn.Module, ids: Tensor, layer: int) -> Tensor:
    """Compute what a layer gives for token ids (n, width): (n, width, dimensions)."""
    outputs = model(input_ids=ids, use_cache=False, output_hidden_states=True)
    # The first are the embeddings. The last one's output is after the norm that follows it.
    return outputs.hidden_states[layer + 1].float()


def distance(hidden: Tensor, target: Tensor, labels: Tensor) -> Tensor:
    """Return the squared distance of hidden (n, width, dimensions) from a target of it or of all.

    It is the mean over dimensions, then over an answer's tokens, then over answers.
    """
    each = (hidden - target).square().mean(dim=-1)
    is_answer = labels != WITHOUT_LOSS
    return (each.where(is_answer, 0).sum(dim=1) / is_answer.sum(dim=1)).mean()


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise gamma * distance(forget batch) + alpha * distance(retain batch).

    Forgotten answers are drawn to `steering` times a direction, retained ones to what the layer
    gave at the start. All weights train, as in open-unlearning.

    Raises:
        UserError: the model has no such layer.
    """
    layers = model.config.num_hidden_layers
    if options.layer >= layers:
        raise UserError(f"rmu: layer {options.layer}, expected one of 0..{layers - 1}")
    original, device = frozen_copy(model), data.objective.device
    target = options.steering * direction(model.config.hidden_size, data.seed).to(device)

    def steer(ids: Tensor, labels: Tensor) -> Tensor:
        ids, labels = without_padding(ids, labels)
        return distance(hidden_of(model, ids, options.layer), target, labels)

    def stay(ids: Tensor, labels: Tensor) -> Tensor:
        ids, labels = without_padding(ids, labels)
        fixed = hidden_of(original, ids, options.layer)
        return distance(hidden_of(model, ids, options.layer), fixed, labels)

    fit_both(model, data, options, steer, stay)


METHOD = Method(
    run, title="RMU", reference="Li et al., The WMDP Benchmark (ICML 2024)", options=Options
)
