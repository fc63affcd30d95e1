"""Which weights fine-tuning freezes."""

from torch import nn


def is_frozen(name: str, frozen: str) -> bool:
    """Whether fine-tuning freezes a tensor of the image encoder.

    Args:
        name: the tensor's name in the state.
        frozen: `attention`, as in NegMerge's released code (all attention projections), or
            `nothing`.
    """
    return frozen == "attention" and ".attn." in name


def freeze(encoder: nn.Module, frozen: str) -> None:
    """Keep the tensors that `is_frozen` names out of training."""
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(not is_frozen(name, frozen))
