"""What to change when the memory of a GPU does not suffice."""

import sys
from collections.abc import Mapping


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a GPU's memory is used up; imports no torch to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


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
