"""The layer of a classifier that gives the logits."""

from torch import nn

from negmerge.errors import UserError


def last_linear(model: nn.Module) -> tuple[str, nn.Linear]:
    """Find the layer that gives the logits: the last linear one, and its name in the model.

    Raises:
        UserError: the model has no linear layer.
    """
    layers = [
        (name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)
    ]
    if not layers:
        raise UserError(f"{type(model).__name__} has no linear layer that computes the logits")
    return layers[-1]
