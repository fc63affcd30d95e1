"""A second device, for machines without a GPU.

Its tensors lie on the CPU but say that they are on another device, `meta`; what torch computes with
them is done on the CPU. It refuses what a GPU refuses, what does not repeat there (as torch's
documentation of `use_deterministic_algorithms` lists it), and for merges what a GPU rounds
otherwise than a CPU.
"""

from unittest import mock

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
# What adds up in any order on a GPU, and has no way that repeats.
UNREPEATABLE = tuple(
    getattr(aten, name)
    for name in (
        *("_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward", "avg_pool3d_backward"),
        *("adaptive_max_pool2d_backward", "fractional_max_pool2d_backward", "max_unpool2d"),
        *("upsample_linear1d_backward", "upsample_bilinear2d_backward", "grid_sampler_2d_backward"),
        *("upsample_bicubic2d_backward", "reflection_pad2d_backward", "nll_loss2d_forward"),
        *("_ctc_loss_backward", "put_", "histc", "kthvalue", "median", "scatter_reduce"),
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

    def tolist(self):
        # Torch forbids it where tensors are of a class of their own.
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError("the second device is there inside of its `with` only")


class OnGpu(There):
    """The same, for code that asks for a GPU."""

    is_cuda = True


class SecondDevice(TorchDispatchMode):
    """The device, while it is entered.

    Args:
        exact: whether it also refuses what gives other bits on a GPU than on a CPU; else its
            tensors say that they are on a GPU.

    Attributes:
        operations: how many operations ran on it.
    """

    def __init__(self, exact=True):
        super().__init__()
        self.exact, self.operations = exact, 0
        self._kind = There if exact else OnGpu
        # It makes its tensor out of sight of what stands in for the device.
        make = torch.tensor
        self._tensor = mock.patch.object(
            torch, "tensor", lambda data, device=None, **how: make(data, **how).to(device or "cpu")
        )

    def __enter__(self):
        self._tensor.start()
        return super().__enter__()

    def __exit__(self, *error):
        self._tensor.stop()
        return super().__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd):
            return self._in_parts(func, args, kwargs)
        tensors = [v for v in tree_flatten([args, kwargs])[0] if isinstance(v, Tensor)]
        there = [tensor for tensor in tensors if isinstance(tensor, There)]
        copies = func.overloadpacket in (aten._to_copy, aten.copy_)
        if there:
            self.operations += 1
        if there and not copies:
            here = [tensor for tensor in tensors if not isinstance(tensor, There)]
            _refuse(func.overloadpacket, args, here)
            if self.exact:
                _refuse_other_bits(func.overloadpacket, args)
        place = kwargs.get("device")
        if place is not None:
            kwargs["device"] = torch.device("cpu")
        results = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        if place == DEVICE or (there and place is None):
            # What an operation changes in place, or writes into, is given back as it was.
            same = {id(tensor.inner): tensor for tensor in there}
            return tree_map(lambda r: same[id(r)] if id(r) in same else self._outer(r), results)
        return results

    def _outer(self, value):
        return self._kind(value) if isinstance(value, Tensor) else value

    def _in_parts(self, func, args, kwargs):
        """Run what torch makes of other operations, and in inference mode hands over as it is."""
        super().__enter__()
        try:
            return func.decompose(*args, **kwargs)
        finally:
            super().__exit__(None, None, None)


def _refuse(operation, args, here):
    """Raise for operations that go wrong on a GPU, or differ each time."""
    # A GPU takes the places that are asked of it from the CPU, too.
    by_place = operation in (aten.index, aten.index_put, aten.index_put_)
    if any(tensor.dim() for tensor in here) and not (by_place and isinstance(args[0], There)):
        raise AssertionError(f"{operation} takes tensors of two devices")
    of_floats = operation is aten.cumsum and args[0].is_floating_point()
    weighed = operation is aten.bincount and any(isinstance(one, Tensor) for one in args[1:])
    if operation in UNREPEATABLE or of_floats or weighed:
        raise AssertionError(f"{operation} does not repeat on a GPU")


def _refuse_other_bits(operation, args):
    if operation in DIVISIONS and not isinstance(args[1], There):
        raise AssertionError("a GPU does not divide by a plain number, see `devices.divisor`")
    is_square = operation in (aten.pow, aten.pow_) and args[1] == 2
    if operation in INEXACT and not is_square:
        raise AssertionError(f"{operation} gives other bits on a GPU")


def _inner(value):
    return value.inner if isinstance(value, There) else value
