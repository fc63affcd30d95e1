"""What to change when the memory of a GPU does not suffice."""

import sys

# By rule: the setting of an experiment that says how many images are on the GPU at a time. Those
# of training can be made up for by `grad_accum_steps` beside them.
BATCHES = {
    "base": "pretrain.recipe.batch_size",
    "train": "train.batch_size",
    "finetune": "finetune.batch_size",
    "unlearn": "unlearn.batch_size",
    "greedy": "eval_batch_size",
    "sweep": "eval_batch_size",
    "measure": "eval_batch_size",
    "search": "eval_batch_size",
    "evaluate": "eval_batch_size",
    "gradcam": "eval_batch_size",
}
ACCUMULATED = ("base", "train", "finetune")


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that a GPU's memory is used up; imports no torch to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


def advice(rule: str, experiment: str) -> str:
    """Say in one line what to change.

    Args:
        rule: the rule whose job found no more memory.
        experiment: of that job.
    """
    line = f"{rule}: the memory of the GPU does not suffice; "
    if rule not in BATCHES:
        return f"{line}use a GPU with more, or device: cpu"
    place = f"experiments.{experiment}.{BATCHES[rule]}"
    line += f"lower {place}"
    if rule in ACCUMULATED:
        beside = place.replace("batch_size", "grad_accum_steps")
        line += f" and raise {beside}, so that a step still takes as many images"
    if rule == "evaluate":
        line += f"; a classifier that relearns: experiments.{experiment}.relearn.batch_size"
    return line
