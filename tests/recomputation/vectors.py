"""Task vectors: fine-tuned - base, tensor by tensor."""

from collections.abc import Iterator

import numpy as np

from recomputation.result import Result, same_array, same_values
from recomputation.study import Study, Task, read_tensors

KIND = "task vectors"
# Of batch normalisation: measured, not learned, and no part of a vector.
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def check(study: Study) -> Iterator[Result]:
    """Subtract the base from each fine-tuned model that is kept.

    One subtraction of float32 numbers is rounded in one way, so the bits must be the same.
    """
    for task in study.tasks():
        for name, path in task.files("vectors", "safetensors").items():
            yield _compare(study, task, name, path)


def _compare(study, task: Task, name: str, path) -> Result:
    place = study.place(path)
    finetuned = task.folder / "finetuned" / f"{name}.safetensors"
    if not finetuned.exists():
        return Result(KIND, place, left_out="the fine-tuned model is not kept")
    before, after, vector = map(read_tensors, (task.base, finetuned, path))
    names = {name for name, tensor in before.items() if _is_learned(name, tensor)}
    layout = same_values(KIND, place, {"tensors": sorted(vector)}, {"tensors": sorted(names)})
    if layout.fault:
        return layout
    compared = (
        same_array(KIND, f"{place}: {name}", vector[name], after[name] - before[name])
        for name in sorted(names)
    )
    return next((one for one in compared if one.fault), Result(KIND, place))


def _is_learned(name: str, tensor: np.ndarray) -> bool:
    return tensor.dtype.kind == "f" and name.split(".")[-1] not in STATISTICS
