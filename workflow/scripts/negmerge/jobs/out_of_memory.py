"""What to change when the memory of a GPU does not suffice, or that shared with loaders."""

import sys
from collections.abc import Mapping


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a GPU's memory is used up; imports no torch to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


def is_out_of_shared_memory(error: BaseException | None) -> bool:
    """Whether a process that loads images could not hand them over, as torch says it."""
    while error is not None:
        # Of a process that was killed, the signal's error stands behind the one that is raised. So
        # torch names the files below /dev/shm.
        text = str(error)
        if "</torch_" in text or ("DataLoader worker" in text and "shared memory" in text):
            return True
        error = error.__cause__ or error.__context__
    return False


def shared_advice(rule: str) -> str:
    """Describe in one line what to change where loader processes have too little memory to share.

    Args:
        rule: the rule whose job had the loaders.
    """
    return (
        f"{rule}: /dev/shm is too small for the images that loader processes hand over; a "
        "container has 64 MB unless it is started with --ipc=host or --shm-size=8g; without "
        f"loaders a job takes none: --set-threads {rule}=1"
    )


def advice(rule: str, experiment: str, params: Mapping) -> str:
    """Describe in one line what to change: the setting of how many images are on the GPU at a time.

    Args:
        rule: the rule whose job found no more memory; where a job has a `recipe`, the experiment
            has it under the name of the rule.
        experiment: of that job.
        params: of that job; `batch_size`, also that of `validation`, is the experiment's
            `eval_batch_size`.
    """
    line = f"{rule}: the memory of the GPU does not suffice; "
    place = f"experiments.{experiment}"
    recipe = f"{place}.pretrain.recipe" if params.get("pretrain") else f"{place}.{rule}"
    if params.get("recipe") or params.get("pretrain"):
        line += (
            f"lower {recipe}.batch_size and raise {recipe}.grad_accum_steps, so that a step still "
            "takes as many images"
        )
    elif params.get("batch_size") or params.get("validation"):
        line += f"lower {place}.eval_batch_size"
    else:
        line += "use a GPU with more, or device: cpu"
    if params.get("relearning"):
        line += f"; a classifier that relearns: {place}.relearn.batch_size"
    return line
