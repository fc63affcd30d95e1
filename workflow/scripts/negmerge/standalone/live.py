"""The coefficient of a model in memory, whose weights are moved in place and put back."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from negmerge.checkpoints.states import require_finite
from negmerge.errors import UserError
from negmerge.settings.experiment import Coefficients
from negmerge.standalone.coefficients import Choice, Measurement, choose, measurement
from negmerge.vectors import in_vector, widen


def search(
    model: nn.Module,
    vector: Mapping[str, Tensor],
    evaluate: Callable[[nn.Module], Mapping[str, float]],
    *,
    keep: float = 0.95,
    coefficients: Iterable[float] | None = None,
    search: str = "full",
    apply: bool = False,
) -> Choice:
    """Choose by the paper's rule how much of a vector to subtract from a live model.

    The weights are base - coefficient * vector, computed and rounded as by `negmerge unlearn`. They
    are put back from a copy of the tensors that the vector changes, on the model's own devices.
    Afterwards they are the base's in every bit, also where `evaluate` raises or is interrupted.

    Args:
        model: the base, of any dtypes and on any devices. Its mode (`eval`, `train`) is left alone.
        vector: a task or merged vector by the names of the model's parameters and buffers. Names of
            the model that it leaves out stay as they are; tied parameters are moved once.
        evaluate: measures the model: `{"forget": ..., "control": ...}`, finite numbers, larger
            where more is remembered; other keys are kept in the choice.
        keep: share of the base's control score to keep, 0..1.
        coefficients: the grid; from 0 to 1 by 0.05 if none is given. 0 is always in it.
        search: `full` measures all of the grid; `fewer` looks by bisection for the largest
            coefficient that keeps control, which is the same choice where neither score ever rises
            with the coefficient.
        apply: leave the model at the chosen coefficient, not at the base.

    Returns:
        The choice: `coefficient`, the `measurements`, and whether it is at the `upper_end` and
        whether `forget_falls` and `control_falls` with the coefficient.

    Raises:
        UserError: the vector does not fit the model, or an argument or a measurement is wrong.
    """
    grid = Coefficients().values if coefficients is None else coefficients
    parts = _parts(model, vector)

    def move(coefficient: float) -> None:
        for tensor, base, change in parts:
            if coefficient == 0:
                tensor.copy_(base)
            else:
                tensor.copy_(widen(base) - coefficient * widen(change.to(tensor.device)))

    def measure(coefficient: float) -> Measurement:
        move(coefficient)
        return measurement(coefficient, evaluate(model), f"evaluate at coefficient {coefficient:g}")

    try:
        choice = choose(grid, measure, keep, search)
    finally:
        move(0)
    if apply:
        move(choice.coefficient)
    return choice


def _parts(model: nn.Module, vector: Mapping[str, Tensor]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return each tensor that a vector changes, a copy of it as it was, and the change."""
    own = dict(model.named_buffers(remove_duplicate=False))
    own |= dict(model.named_parameters(remove_duplicate=False))
    lacking = [name for name in vector if name not in own]
    if lacking:
        raise UserError(
            f"vector: tensor {lacking[0]!r} is not in the model ({len(lacking)} of {len(vector)} "
            f"are not); its names are like {next(iter(own), 'none')!r}"
        )
    moves: dict[tuple, tuple[str, Tensor]] = {}
    for name, change in vector.items():
        tensor = own[name].detach()
        _require_fitting(name, tensor, change)
        # Tied parameters are one tensor under several names.
        place = (tensor.device, tensor.data_ptr(), tensor.stride(), tensor.shape)
        other, moved = moves.setdefault(place, (name, change))
        if moved is not change and not torch.equal(moved, change.to(moved)):
            raise UserError(
                f"vector: tensor {name!r} differs from {other!r}, expected the same, since the "
                "model ties them"
            )
    return [
        (own[name].detach(), own[name].detach().clone(), change.detach())
        for name, change in moves.values()
        if change.any()
    ]


def _require_fitting(name: str, tensor: Tensor, change: Tensor) -> None:
    """Check a tensor of a vector against the model's."""
    if change.shape != tensor.shape:
        raise UserError(
            f"vector: tensor {name!r} has shape {list(change.shape)}, expected {list(tensor.shape)}"
        )
    if not in_vector(name, tensor):
        raise UserError(
            f"vector: tensor {name!r} takes no part in vectors: in the model it is a statistic "
            f"or holds {tensor.dtype}"
        )
    if tensor.is_meta:
        raise UserError(f"model: tensor {name!r} is not in memory, but on the device 'meta'")
    require_finite(change, name, "vector")
    require_finite(tensor, name, "model")
