"""Model Breadcrumbs: neither the largest nor the smallest updates, then the mean."""

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from negmerge.merging.blocks import Block, divisor
from negmerge.merging.engine import Method
from negmerge.merging.signs import keep
from negmerge.settings.recipe import Settings, Share


class Options(Settings):
    """The options of Model Breadcrumbs."""

    density: Share = Field(
        0.15,
        description="Share of each row that stays; 0.15 is where the authors' search starts.",
    )
    remove: Share = Field(0.006, description="Share of each row, its largest numbers, that goes.")
    first: Literal["remove", "density"] = Field(
        "remove",
        description="Which step comes first; with density, the outliers are removed from the share "
        "that is kept.",
    )


def combine(block: Block, density: float, remove: float, first: str) -> Tensor:
    """Mask the task vectors row by row and average them.

    In each row of n numbers along the last axis, in falling order of |tau_k| (equal ones: the one
    further left first):

    - first=remove: the int(remove * n) largest go, the next int(density * n) stay;
    - first=density: the int(density * n) largest stay, but for the int(remove * n) largest of all.

    The rest becomes +0. A scalar stays as it is. Counts are truncated, as in the authors' code, so
    short rows lose no outlier: none below n = 167 with remove 0.006.
    """
    total = None
    for vector in block:
        kept = keep(vector, _mask(vector, density, remove, first)) if block.shape else vector
        total = kept.clone() if total is None else total.add_(kept)
    return total / divisor(len(block), total)


def _mask(rows: Tensor, density: float, remove: float, first: str) -> Tensor:
    columns = rows.shape[1]
    start, stop = int(columns * remove), int(columns * density)
    if first == "remove":
        stop = min(start + stop, columns)
    if start >= stop:
        return torch.zeros_like(rows, dtype=torch.bool)
    magnitudes = rows.abs()
    lowest, highest = _of_rank(magnitudes, columns - stop, columns - 1 - start)
    kept = (magnitudes >= lowest[:, None]) & (magnitudes <= highest[:, None])
    tied = kept.sum(dim=1) != stop - start
    if tied.any():
        order = magnitudes[tied].sort(dim=1, descending=True, stable=True).indices
        kept[tied] = torch.zeros_like(kept[tied]).scatter_(1, order[:, start:stop], True)
    return kept


def _of_rank(rows: Tensor, *ranks: int) -> Tensor:
    """Return the numbers of some ranks of each row, from 0: (ranks, rows)."""
    if rows.device.type != "cpu":
        ascending = rows.sort(dim=1).values
        return torch.stack([ascending[:, rank] for rank in ranks])
    # On a CPU sorting takes several times longer than finding the numbers.
    return torch.from_numpy(np.partition(rows.numpy(), ranks, axis=1)[:, ranks]).T


METHOD = Method(
    combine,
    title="Model Breadcrumbs",
    reference="Davari and Belilovsky, Model Breadcrumbs (2023)",
    options=Options,
)
