"""The device of a name, and networks and torch set up for a study's way to compute."""

import os
from collections.abc import Callable
from functools import wraps
from types import MethodType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from negmerge.errors import UserError
from negmerge.settings.compute import Compute

Network = TypeVar("Network", bound=nn.Module)
# How cuBLAS is told to compute in memory of fixed pieces, 8 of 4 MiB, so that its products repeat.
WORKSPACE, PIECES = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


def find_device(device: str | torch.device) -> torch.device:
    """Return the device of a name: `cpu`, or a GPU that is there, `cuda`, `cuda:1` and so on."""
    try:
        parsed = torch.device(device)
    except RuntimeError:
        parsed = None
    if parsed is None or parsed.type not in ("cpu", "cuda"):
        raise UserError(f"unknown device {str(device)!r}; valid: cpu, cuda") from None
    if parsed.type == "cuda" and not torch.cuda.is_available():
        if torch.version.cuda is None:
            raise UserError(
                f"the device is {parsed}, but torch {torch.__version__} is for the CPU only; "
                'install one for CUDA, see "The build of torch" in docs/install.md, or use cpu'
            )
        raise UserError(f"the device is {parsed}, but torch finds no GPU; use cpu")
    if parsed.type == "cuda" and (parsed.index or 0) >= torch.cuda.device_count():
        raise UserError(f"the device is {parsed}, but there are {torch.cuda.device_count()} GPUs")
    return parsed


def available_processors() -> int:
    """Return how many processors this process may use, where the system tells; else all."""
    return len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0))


def deterministic(device: torch.device) -> None:
    """Set torch up to give the same bits each time on one kind of machine, `tuned` to say else.

    A GPU must not be in use yet: cuBLAS reads the environment when it begins. To only warn would
    let kernels of attention add up in any order (torch's attention_backward.cu).
    """
    if device.type == "cuda":
        os.environ.setdefault(WORKSPACE, PIECES)
    # As `use_deterministic_algorithms`, which imports torch's compiler to tell it; see `tuned`.
    torch.set_deterministic_debug_mode("error")
    # Else torch fills each new tensor before it is computed, which takes a tenth of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False
    allow_tf32(False)


def tuned(network: Network, settings: Compute) -> Network:
    """Set a network on its device, in place, and torch up for the study's way to compute."""
    allow_tf32(settings.precision == "tf32")
    torch.backends.cudnn.benchmark = not settings.deterministic
    if not settings.deterministic:
        torch.set_deterministic_debug_mode("default")
        if os.environ.get(WORKSPACE) == PIECES:
            del os.environ[WORKSPACE]
    elif next(network.parameters()).is_cuda:
        pool_in_order(network)
    if settings.channels_last:
        channels_last(network)
    if settings.precision == "bf16":
        # A bound method: a copy of the network gets one of its own.
        network.forward = MethodType(_in_bf16(type(network).forward), network)
    if settings.compile:
        # What torch was set up with is set anew, so that its compiler knows of it.
        torch.use_deterministic_algorithms(
            torch.are_deterministic_algorithms_enabled(),
            warn_only=torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        network.compile()
    return network


def pool_in_order(network: nn.Module) -> None:
    """Pool in an order that repeats on a GPU where windows are alike; torch's has none."""
    for module in network.modules():
        if isinstance(module, nn.AdaptiveAvgPool2d):
            module.forward = MethodType(_pooled, module)


def _pooled(module: nn.AdaptiveAvgPool2d, images: Tensor) -> Tensor:
    size, sides = module.output_size, images.shape[-2:]
    counts = size if isinstance(size, tuple) else (size, size)
    if None in counts or any(side % count for side, count in zip(sides, counts, strict=True)):
        return functional.adaptive_avg_pool2d(images, size)
    windows = [side // count for side, count in zip(sides, counts, strict=True)]
    return functional.avg_pool2d(images, windows)


def channels_last(network: nn.Module) -> None:
    """Lay filters in memory with the channels last, in place, unless a layer is too narrow for it.

    Of a strided 1 x 1 convolution of fewer than 8 channels, oneDNN without AVX-512 writes beyond
    its memory: the process crashes or hangs (uxlfoundation/oneDNN issue 6035).
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    strided = [c for c in layers if c.kernel_size == (1, 1) and c.stride != (1, 1)]
    if all(layer.in_channels >= 8 for layer in strided):
        network.to(memory_format=torch.channels_last)


def allow_tf32(allowed: bool) -> None:
    """Whether a GPU may take TF32 for what is float32; torch allows it for convolutions."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def _in_bf16(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Let a network's `forward` give logits, or something with logits, in float32."""

    @wraps(forward)
    def in_bf16(network: nn.Module, *inputs: Any, **options: Any) -> Any:
        with torch.autocast(next(network.parameters()).device.type, torch.bfloat16):
            outputs = forward(network, *inputs, **options)
        if isinstance(outputs, Tensor):
            return outputs.float()
        outputs.logits = outputs.logits.float()
        return outputs

    return in_bf16
