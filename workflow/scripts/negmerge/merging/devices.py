"""Numbers on a GPU: there and back, with the bits that a CPU would give them."""

import torch
from torch import Tensor

CPU = torch.device("cpu")


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; to a GPU it may still be under way, in the current stream."""
    if device.type == "cpu" and tensor.is_cpu:
        return tensor
    if device.type == "cuda" and tensor.is_cpu:
        # Only from pinned memory does a copy run beside other work. Torch keeps that memory until
        # the copy is done.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor if tensor.device == device else tensor.to(device)


def to_host(tensor: Tensor) -> Tensor:
    """Return a tensor in the host's memory, after the current stream has come to its end."""
    if not tensor.is_cuda:
        return tensor.cpu()
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return host


def divisor(number: float, like: Tensor) -> Tensor:
    """Return a number by which to divide a tensor, as a tensor () of its dtype and device.

    A GPU does not divide by a plain number: it multiplies by the inverse, and rounds twice.
    """
    return like.new_full((), number)
