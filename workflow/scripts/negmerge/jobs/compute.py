"""Where and how a job computes: device, threads, random numbers, precision."""

from types import MethodType
from typing import TypeVar

import torch
from torch import Tensor, nn

from negmerge.jobs.gpus import take_device
from negmerge.settings.compute import Compute

Network = TypeVar("Network", bound=nn.Module)


def prepare(device: str, threads: int, seed: int) -> torch.device:
    """Set torch up so that a job gives the same bytes each time on one kind of machine.

    Args:
        device: `cpu` or `cuda`.
        threads: torch's threads. Sums change with their number, so it must not depend on how
            many cores a run was given.
        seed: of torch's global generator.

    Returns:
        The device; a GPU is the job's own until it ends, see `gpus.take_device`.

    Raises:
        UserError: the study asks for a GPU and there is none.
    """
    taken = take_device(device)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=taken.type == "cuda")
    torch.manual_seed(seed)
    _allow_tf32(False)
    return taken


def tuned(network: Network, settings: Compute) -> Network:
    """Set a network, and torch, up for the study's way to compute; names of weights stay.

    Args:
        network: on its device; it is changed in place.
        settings: the study's.
    """
    _allow_tf32(settings.precision == "tf32")
    if settings.channels_last:
        network = network.to(memory_format=torch.channels_last)
    if settings.precision == "bf16":
        # A bound method: a copy of the network gets one of its own.
        network.forward = MethodType(_forward_in_bf16, network)
    if settings.compile:
        network.compile()
    return network


def _allow_tf32(allowed: bool) -> None:
    """Say whether a GPU may take TF32 for what is float32; torch allows it for convolutions."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def _forward_in_bf16(network: nn.Module, images: Tensor) -> Tensor:
    with torch.autocast(images.device.type, torch.bfloat16):
        found = type(network).forward(network, images)
    return found.float()
