"""A second device, for machines without a GPU.

Its tensors lie on the CPU but say that they are on another device, `meta`; what torch computes with
them is done on the CPU. It refuses what a GPU refuses, and what a GPU rounds otherwise than a CPU.
"""

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
aten = torch.ops.aten

# A GPU multiplies by the inverse of a plain number, which a tensor there is not.
DIVISIONS = (aten.div, aten.div_)
# Functions that a GPU rounds otherwise; numbers that it may add in another order; and random ones.
INEXACT = tuple(
    getattr(aten, name)
    for name in (
        *("exp", "exp_", "log", "log_", "tanh", "tanh_", "pow", "pow_", "sin", "cos"),
        *("mean", "cumsum", "prod", "norm", "linalg_vector_norm", "mm", "dot", "var", "std"),
        *("rand_like", "randn_like", "bernoulli", "bernoulli_", "uniform_", "normal_"),
    )
)


class There(Tensor):
    """A tensor on the second device; `inner` holds its numbers."""

    @staticmethod
    def __new__(cls, inner):
        return Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError("the second device is there inside of its `with` only")


class SecondDevice(TorchDispatchMode):
    """The device, while it is entered.

    Attributes:
        operations: how many operations ran on it.
    """

    def __init__(self):
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [v for v in tree_flatten([args, kwargs])[0] if isinstance(v, Tensor)]
        there = [tensor for tensor in tensors if isinstance(tensor, There)]
        copies = func.overloadpacket in (aten._to_copy, aten.copy_)
        if there:
            self.operations += 1
        if there and not copies:
            _refuse(func.overloadpacket, args, [t for t in tensors if not isinstance(t, There)])
        place = kwargs.get("device")
        if place is not None:
            kwargs["device"] = torch.device("cpu")
        results = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        if place == DEVICE or (there and place is None):
            # What an operation changes in place, or writes into, is given back as it was.
            same = {id(tensor.inner): tensor for tensor in there}
            return tree_map(lambda r: same.get(id(r)) if id(r) in same else _outer(r), results)
        return results


def _refuse(operation, args, here):
    """Raise for operations that go wrong on a GPU."""
    if any(tensor.dim() for tensor in here):
        raise AssertionError(f"{operation} takes tensors of two devices")
    if operation in DIVISIONS and not isinstance(args[1], There):
        raise AssertionError("a GPU does not divide by a plain number, see `devices.divisor`")
    is_square = operation in (aten.pow, aten.pow_) and args[1] == 2
    if operation in INEXACT and not is_square:
        raise AssertionError(f"{operation} gives other bits on a GPU")


def _inner(value):
    return value.inner if isinstance(value, There) else value


def _outer(value):
    return There(value) if isinstance(value, Tensor) else value
