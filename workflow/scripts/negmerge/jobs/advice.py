"""What to change when a machine lacks what a job needs: memory, or operations that repeat."""

import re
import sys
from collections.abc import Mapping

# How torch names an operation that gives other bits each time on a GPU.
UNREPEATABLE = re.compile(r"(\S+) does not have a deterministic implementation")


def advice(error: BaseException, rule: str, experiment: str, params: Mapping) -> str | None:
    """Describe in one line what to change after an error, or None if it is of another kind.

    Args:
        error: what ended the job.
        rule: of the job; where a job has a `recipe`, the experiment has it under this name.
        experiment: of that job.
        params: of that job; `batch_size`, also that of `validation`, is the experiment's
            `eval_batch_size`.
    """
    torch = sys.modules.get("torch")  # A job that has not imported it has no such error.
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        found = "the memory of the GPU does not suffice"
        return f"{rule}: {found}; {_smaller_batches(rule, experiment, params)}"
    if _is_of_shared_memory(error):
        return (
            f"{rule}: /dev/shm is too small for the images that loader processes hand over; a "
            "container has 64 MB unless it is started with --ipc=host or --shm-size=8g; without "
            f"loaders a job takes none: --set-threads {rule}=1"
        )
    if found := UNREPEATABLE.match(str(error)):
        return (
            f"{rule}: {found[1]} does not give the same bits each time on a GPU; to do without "
            "them, set `compute: {deterministic: false}` in the study"
        )
    return None


def _smaller_batches(rule: str, experiment: str, params: Mapping) -> str:
    """Name the setting of how many images are on the GPU at a time."""
    place = f"experiments.{experiment}"
    recipe = f"{place}.pretrain.recipe" if params.get("pretrain") else f"{place}.{rule}"
    if params.get("recipe") or params.get("pretrain"):
        line = (
            f"lower {recipe}.batch_size and raise {recipe}.grad_accum_steps, so that a step still "
            "takes as many images"
        )
    elif params.get("batch_size") or params.get("validation"):
        line = f"lower {place}.eval_batch_size"
    else:
        line = "use a GPU with more, or device: cpu"
    if params.get("relearning"):
        line += f"; a classifier that relearns: {place}.relearn.batch_size"
    return line


def _is_of_shared_memory(error: BaseException | None) -> bool:
    """Whether a process that loads images could not hand them over, as torch says it."""
    while error is not None:
        # Of a process that was killed, the signal's error stands behind the one that is raised. So
        # torch names the files below /dev/shm.
        text = str(error)
        if "</torch_" in text or ("DataLoader worker" in text and "shared memory" in text):
            return True
        error = error.__cause__ or error.__context__
    return False
