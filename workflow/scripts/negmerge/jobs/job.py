"""What surrounds the step of every script: its log, its record, and errors in one line."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from negmerge.errors import UserError
from negmerge.files import UNWRITABLE, unwritable
from negmerge.jobs.provenance import Provenance

# What the log of a job says that waited until a GPU was free.
WAITED = "waited {} s for a GPU"
# How torch names an operation that gives other bits each time on a GPU.
UNREPEATABLE = re.compile(r"(\S+) does not have a deterministic implementation")
# Where the driver lists the GPUs of this machine, or of this container.
GPUS = Path("/proc/driver/nvidia/gpus")


@contextmanager
def job(snakemake: Any) -> Iterator[Provenance]:
    """Run a step: its output goes to the rule's log, and a mistake of the user's ends in one line.

    All that the process prints, also from C libraries, lands in the log. Before the step, its
    inputs are compared with their records; after it, the job's own record is written.
    """
    terminal = os.dup(sys.stderr.fileno())
    try:
        log = os.open(snakemake.log[0], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(log, sys.stdout.fileno())
        os.dup2(log, sys.stderr.fileno())
        os.close(log)
        sys.stdout.reconfigure(line_buffering=True)
        provenance = Provenance(snakemake)
        provenance.begin()
        yield provenance
        provenance.write()
    except Exception as error:
        line = advice(error, snakemake)
        if line is None:
            raise
        text = f"error: {line}\n".encode()
        try:
            sys.stdout.flush()
            os.write(sys.stderr.fileno(), text)
        except OSError:  # The disk is full.
            os.write(terminal, text)
        sys.exit(1)
    finally:
        os.close(terminal)


def count_gpus() -> int:
    """Count the NVIDIA GPUs that jobs may use on this machine, without torch; 0: none is known."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    return len(listed.split(",") if listed else list(GPUS.glob("*")))


def advice(error: Exception, snakemake: Any) -> str | None:
    """Describe in one line what to change after an error, or None if nobody can mend it."""
    rule, params = snakemake.rule, snakemake.params
    torch = sys.modules.get("torch")  # A job that has not imported it has no such error.
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        # Without a name it was the log: it is written to without being named.
        return str(unwritable(error.filename or snakemake.log[0], error.errno))
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        smaller = _smaller_batches(rule, snakemake.wildcards.get("experiment", ""), params)
        return f"{rule}: the memory of the GPU does not suffice; {smaller}"
    if _is_of_shared_memory(error):
        return (
            f"{rule}: /dev/shm is too small for the images that loader processes hand over; a "
            "container has 64 MB unless it is started with --ipc=host or --shm-size=8g; without "
            f"loaders a job takes none: --set-threads {rule}=1"
        )
    if operation := UNREPEATABLE.match(str(error)):
        return (
            f"{rule}: {operation[1]} does not give the same bits each time on a GPU; to do without "
            "them, set `compute: {deterministic: false}` in the study"
        )
    return None


def _smaller_batches(rule: str, experiment: str, params: Mapping) -> str:
    """Name the setting of how many images are on the GPU at a time."""
    place = f"experiments.{experiment}"
    # An experiment has a job's `recipe` under the name of its rule.
    recipe = f"{place}.pretrain.recipe" if params.get("pretrain") else f"{place}.{rule}"
    if params.get("recipe") or params.get("pretrain"):
        return (
            f"lower {recipe}.batch_size and raise {recipe}.grad_accum_steps, so that a step still "
            "takes as many images"
        )
    if not (params.get("batch_size") or params.get("validation")):
        return "use a GPU with more, or device: cpu"
    relearning = f"; a classifier that relearns: {place}.relearn.batch_size"
    return f"lower {place}.eval_batch_size{relearning if params.get('relearning') else ''}"


def _is_of_shared_memory(error: BaseException | None) -> bool:
    """Whether a process that loads images could not hand them over, as torch says it."""
    while error is not None:
        # torch names the files below /dev/shm so. Of a process that was killed, the error of the
        # signal stands behind the one that is raised.
        text = str(error)
        if "</torch_" in text or ("DataLoader worker" in text and "shared memory" in text):
            return True
        error = error.__cause__ or error.__context__
    return False
