"""Where and how a job computes: device, threads, loader processes, random numbers."""

from typing import Any, NamedTuple

import torch

from negmerge.jobs.gpus import take_device
from negmerge.jobs.provenance import device_name
from negmerge.models.devices import deterministic


class Machine(NamedTuple):
    """Where a job computes.

    Attributes:
        device: of models; a GPU is the job's own until it ends, see `gpus.take_device`.
        loaders: processes that load images beside the job.
    """

    device: torch.device
    loaders: int


def prepare(snakemake: Any) -> Machine:
    """Set torch up so that a job gives the same bytes each time on one kind of machine.

    Sums change with the number of torch's threads, so that number is the param `torch_threads` of
    the rule. The threads that Snakemake gives a job beyond it are processes that load images,
    whose number changes nothing. The param `seed`, or 0, seeds torch's global generator.

    Args:
        snakemake: the object that Snakemake gives to scripts.

    Raises:
        UserError: the job asks for a GPU and there is none.
    """
    params = snakemake.params
    name = device_name(snakemake)
    deterministic(torch.device(name))
    taken = take_device(name)
    torch.set_num_threads(params.torch_threads)
    torch.manual_seed(params.get("seed", 0))
    return Machine(taken, max(0, snakemake.threads - params.torch_threads))
