"""Where and how a job computes: device, threads, loader processes, random numbers.

Snakemake counts the GPUs that its jobs use (`--resources gpu=2`), but does not tell them which one
is free. So each GPU has a file, and the job that holds the lock on it has the GPU.
"""

import ctypes
import os
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import torch

from negmerge import curves
from negmerge.jobs.job import WAITED
from negmerge.jobs.provenance import device_name
from negmerge.models.devices import deterministic, find_device

# How long a job sleeps before it looks again for a free GPU.
SECONDS = 1.0
# Numbers of glibc's malloc.h: at how much free memory the heap shrinks, and how many blocks get
# pages of their own.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def prepare(snakemake: Any) -> tuple[torch.device, int]:
    """Set torch up for the same bytes each time; give the device and the number of loaders.

    Sums change with the number of torch's threads, so that number is the param `torch_threads` of
    the rule. Snakemake's threads beyond it are processes that load images, whose number changes
    nothing. The param `seed`, or 0, seeds torch's global generator.
    """
    params, name = snakemake.params, device_name(snakemake)
    deterministic(torch.device(name))
    device = take_device(name)
    torch.set_num_threads(params.torch_threads)
    torch.manual_seed(params.get("seed", 0))
    if device.type == "cpu":
        keep_memory()
    curves.choose(snakemake.config.get("curves"), Path(snakemake.log[0]))
    return device, max(0, snakemake.threads - params.torch_threads)


def keep_memory() -> None:
    """Use freed memory again for the next step's tensors, where the C library is glibc.

    By default large blocks go back to the system, which clears their pages each time.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def take_device(device: str) -> torch.device:
    """Assign a job the CPU, or until its process ends a GPU that no other job of this user has.

    While all GPUs that `CUDA_VISIBLE_DEVICES` lists are taken, it waits.
    """
    place = find_device(device)
    if place.type != "cuda":
        return place
    number = _lock_gpu()
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


@cache
def _lock_gpu() -> int:
    """Lock one of the GPUs for the rest of the process; give its number for torch."""
    import fcntl  # Not on Windows, where the rest of the library works.

    # The files stay open on purpose: the lock ends with the process.
    files = [os.open(path, os.O_RDWR | os.O_CREAT, 0o600) for path in _lock_files()]
    start, is_waiting = time.monotonic(), False
    while True:
        for number, file in enumerate(files):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if is_waiting:
                print(WAITED.format(f"{time.monotonic() - start:.1f}"), flush=True)
            return number
        if not is_waiting:
            print(f"waiting for a GPU: other jobs have all {len(files)}", flush=True)
            is_waiting = True
        time.sleep(SECONDS)


def _lock_files() -> list[Path]:
    """List the files that stand for the GPUs which torch sees, in torch's order.

    Inside a Slurm job the numbers may count that job's GPUs alone, so each has its own files. Only
    the temporary folder is on every compute node and in every container.
    """
    count = torch.cuda.device_count()
    listed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = listed.split(",")[:count] if listed else [str(number) for number in range(count)]
    folder = Path(tempfile.gettempdir()) / "-".join(
        ["negmerge", str(os.getuid()), "gpus", *filter(None, [os.environ.get("SLURM_JOB_ID")])]
    )
    folder.mkdir(mode=0o700, exist_ok=True)
    return [folder / name.strip().replace("/", "-") for name in names]
