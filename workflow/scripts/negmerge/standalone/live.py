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
    weights = Weights(model, vector)

    def measure(coefficient: float) -> Measurement:
        weights.move(coefficient)
        return measurement(coefficient, evaluate(model), f"evaluate at coefficient {coefficient:g}")

    try:
        choice = choose(grid, measure, keep, search)
    finally:
        weights.restore()
    if apply:
        weights.move(choice.coefficient)
    return choice


class Weights:
    """The tensors of a model that a vector changes, and a copy of each as it was."""

    def __init__(self, model: nn.Module, vector: Mapping[str, Tensor]):
        own = dict(model.named_buffers(remove_duplicate=False))
        own |= dict(model.named_parameters(remove_duplicate=False))
        _require_fitting(own, vector)
        moves: dict[tuple, tuple[str, Tensor]] = {}
        for name, change in vector.items():
            tensor = own[name].detach()
            # Tied parameters are one tensor under several names.
            place = (tensor.device, tensor.data_ptr(), tensor.stride(), tensor.shape)
            other, moved = moves.setdefault(place, (name, change))
            if moved is not change and not torch.equal(moved, change.to(moved)):
                raise UserError(
                    f"vector: tensor {name!r} differs from {other!r}, expected the same, since the "
                    "model ties them"
                )
        self._parts = [
            (own[name].detach(), own[name].detach().clone(), change.detach())
            for name, change in moves.values()
            if change.any()
        ]

    def move(self, coefficient: float) -> None:
        """Set the weights to base - coefficient * vector, rounded once to the model's dtypes."""
        if coefficient == 0:
            self.restore()
            return
        for tensor, base, change in self._parts:
            tensor.copy_(widen(base) - coefficient * widen(change.to(tensor.device)))

    def restore(self) -> None:
        """Set the weights to the base's bits."""
        for tensor, base, _ in self._parts:
            tensor.copy_(base)


def _require_fitting(own: Mapping[str, Tensor], vector: Mapping[str, Tensor]) -> None:
    """Check a vector against the tensors of a model."""
    lacking = [name for name in vector if name not in own]
    if lacking:
        raise UserError(
            f"vector: tensor {lacking[0]!r} is not in the model ({len(lacking)} of {len(vector)} "
            f"are not); its names are like {next(iter(own), 'none')!r}"
        )
    for name, change in vector.items():
        tensor = own[name]
        if tuple(change.shape) != tuple(tensor.shape):
            raise UserError(
                f"vector: tensor {name!r} has shape {list(change.shape)}, expected "
                f"{list(tensor.shape)}"
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
