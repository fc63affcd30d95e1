"""Where and how a job computes: device, threads, random numbers."""

import torch

from negmerge.errors import UserError


def prepare(device: str, threads: int, seed: int) -> torch.device:
    """Set torch up so that a job gives the same bytes each time on one kind of machine.

    Args:
        device: `cpu` or `cuda`.
        threads: torch's threads. Sums change with their number, so it must not depend on how
            many cores a run was given.
        seed: of torch's global generator.

    Returns:
        The device.

    Raises:
        UserError: the study asks for a GPU and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("the study's device is cuda, but torch finds no GPU; use device: cpu")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=device == "cuda")
    torch.manual_seed(seed)
    return torch.device(device)
