"""What a base must add to unlearn, as the folder of an adapter."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from negmerge.adapters.writing import Factored, Layers, factor, write_adapter
from negmerge.errors import UserError
from negmerge.files import write_json
from negmerge.merging.blocks import Block
from negmerge.merging.pool import Pool
from negmerge.merging.signs import count_nonzero
from negmerge.standalone import folder
from negmerge.standalone.output import Target, Tell, begin, make_report
from negmerge.standalone.shards import Counts
from negmerge.standalone.working import publish, working


def write_adapter_output(
    pool: Pool,
    target: Target,
    facts: Mapping[str, object],
    merged: Callable[[], Iterator[tuple[Block, Tensor]]],
    rank: int | str,
    *,
    command: str | None = None,
    tell: Tell = lambda line: None,
) -> dict:
    """Write -coefficient * vector as an adapter; the report tells what it loses of the norm."""
    if not (str(rank).isascii() and str(rank).isdigit() and int(rank)):
        raise UserError(f"--adapter {rank!r} is no rank, expected a whole number from 1 on")
    target = replace(target, dtype=torch.float32)
    checksums = begin(pool, target, tell)
    layers = Layers(pool.base)
    kept = 0

    def counted() -> Iterator[tuple[Block, Tensor]]:
        nonlocal kept
        for block, rows in merged():
            kept += count_nonzero(rows)
            yield block, rows

    with working(target.output) as content, pool.vectors.workers:
        factored = factor(counted(), target.coefficient, int(rank), layers)
        lines = write_adapter(content, factored, layers, str(target.base))
        lines = [*lines, *_loss(factored, target.output)] if kept else []
        counts, known = Counts(kept, kept), checksums.known()
        report = make_report(pool, target, facts, known, counts, lines, command, tell)
        losses = {"lost": factored.loss, "tensors": factored.losses()}
        report["adapter"] = {"rank": factored.rank} | losses
        write_json(content / "negmerge.json", report)
        folder.write_card(content, report, pool.base.files[0].parent)
        publish(content, target.output)
    return report


def _loss(factored: Factored, where: Path) -> list[str]:
    """Return what the rank lost, as a line for the user."""
    losses = factored.losses()
    if not factored.loss:
        return []
    name = max(losses, key=losses.__getitem__)
    return [
        f"{where}: rank {factored.rank} loses {100 * factored.loss:.2f} % of the change by the "
        f"Frobenius norm, most in {name}: {100 * losses[name]:.2f} %"
    ]
