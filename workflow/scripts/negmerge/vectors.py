"""Task vectors: what fine-tuning changed, as numbers that can be merged and subtracted.

Ilharco et al., *Editing Models with Task Arithmetic* (ICLR 2023).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.states import State, require_finite, require_same_tensors, shapes
from negmerge.errors import UserError

# Negating a running variance can make it negative, and the model then returns NaN; so the
# statistics of batch normalisation stay those of the base.
BATCH_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
# Tables that a model computes when it is built. Some files hold them, others of the same model not.
TABLES = re.compile(
    r"(^|\.)((\w+_)?inv_freq|position_ids|token_type_ids|attn_mask|attention_mask|causal_mask|"
    r"masked_bias|relative_position_index)$"
)
# GPT-2 calls its mask (1, 1, n, n) as other models call a trained bias.
MASK = re.compile(r"(^|\.)(attn|attention|self_attn)\.bias$")


def may_change(name: str, shape: Sequence[int], dtype: torch.dtype) -> bool:
    """Whether a tensor of this name takes part in task vectors.

    Integer buffers do not, nor do the statistics of batch normalisation and computed tables.
    """
    is_statistic = name.rpartition(".")[2] in BATCH_STATISTICS
    is_mask = bool(MASK.search(name)) and len(shape) == 4 and tuple(shape[:2]) == (1, 1)
    is_table = is_mask or bool(TABLES.search(name))
    return dtype.is_floating_point and not is_statistic and not is_table


def in_vector(name: str, tensor: Tensor) -> bool:
    """Whether a tensor takes part in task vectors; see `may_change`."""
    return may_change(name, tensor.shape, tensor.dtype)


def widen(tensor: Tensor) -> Tensor:
    """Return float16 and bfloat16 as float32; float32 and float64 stay.

    In half precision a small update rounds to zero, and a zero is a disagreement.
    """
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def task_vector(
    base: Mapping[str, Tensor], finetuned: Mapping[str, Tensor], where: str | Path = "fine-tuned"
) -> State:
    """Compute finetuned - base for each tensor that `in_vector` admits.

    Args:
        base: the state before fine-tuning.
        finetuned: the state after it, with the same names and shapes.
        where: how errors name the fine-tuned state.

    Returns:
        float32 tensors; float64 where either of the two is.

    Raises:
        UserError: a tensor is missing, extra, misshapen or of another kind, or holds NaN or
            infinity.
    """
    require_same_tensors(shapes(base), shapes(finetuned), where)
    vector = {}
    for name, before in base.items():
        if before.is_floating_point() != finetuned[name].is_floating_point():
            raise UserError(
                f"{where}: tensor {name!r} holds {finetuned[name].dtype}, the base {before.dtype}"
            )
        if in_vector(name, before):
            difference = widen(finetuned[name]) - widen(before)
            vector[name] = require_finite(difference, name, where)
    return vector


def apply(
    base: Mapping[str, Tensor],
    vector: Mapping[str, Tensor],
    coefficient: float,
    where: str | Path = "vector",
) -> State:
    """Compute base + coefficient * vector; forgetting uses a negative coefficient.

    Args:
        base: the state to start from.
        vector: a task vector or merged vector of that state.
        coefficient: the scale.
        where: how errors name the vector.

    Returns:
        A new state with the base's names and dtypes. Tensors that the vector leaves out
        (`in_vector`) are the base's.

    Raises:
        UserError: a tensor is missing, extra or misshapen.
    """
    moved = {name: tensor for name, tensor in base.items() if in_vector(name, tensor)}
    require_same_tensors(shapes(moved), shapes(vector), where)
    return {
        name: (widen(tensor) + coefficient * vector[name]).to(tensor.dtype)
        if name in moved
        else tensor.clone()
        for name, tensor in base.items()
    }
