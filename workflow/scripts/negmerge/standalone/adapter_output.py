"""What a base must add to unlearn, as the folder of an adapter."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from negmerge.adapters.adapter import Adapter
from negmerge.adapters.factoring import Factored, Layers, concatenate, factor
from negmerge.adapters.writing import write_adapter
from negmerge.errors import UserError
from negmerge.files import write_json
from negmerge.merging.blocks import Block
from negmerge.merging.engine import Method
from negmerge.merging.pool import Pool
from negmerge.merging.signs import count_nonzero
from negmerge.standalone import folder
from negmerge.standalone.output import Target, Tell, begin, make_report
from negmerge.standalone.shards import Counts
from negmerge.standalone.working import publish, working

EXACT = "exact"


def read_rank(text: int | str) -> int | str:
    """Return a rank from 1 on, or `exact`."""
    if text == EXACT or (str(text).isascii() and str(text).isdigit() and int(text)):
        return text if text == EXACT else int(text)
    raise UserError(f"the rank {text!r} of an adapter is no whole number from 1 on, nor exact")


def write_adapter_output(
    pool: Pool,
    target: Target,
    facts: Mapping[str, object],
    merged: Callable[[], Iterator[tuple[Block, Tensor]]],
    method: Method,
    rank: int | str,
    *,
    command: str | None = None,
    tell: Tell = lambda line: None,
) -> dict:
    """Write -coefficient * vector as an adapter; the report tells what it loses of the norm."""
    rank, target = read_rank(rank), replace(target, dtype=torch.float32)
    adapters = [member for member in pool.members if isinstance(member, Adapter)]
    weights = _weights(method, pool, adapters) if rank == EXACT else []
    checksums = begin(pool, target, tell)
    layers = Layers(pool.base, adapters)
    kept = 0

    def counted() -> Iterator[tuple[Block, Tensor]]:
        nonlocal kept
        for block, rows in merged():
            kept += count_nonzero(rows)
            yield block, rows

    with working(target.output) as content, pool.vectors.workers:
        if rank == EXACT:
            factored = concatenate(adapters, weights, target.coefficient, layers)
            deque(counted(), maxlen=0)
        else:
            factored = factor(counted(), target.coefficient, rank, layers)
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


def _weights(method: Method, pool: Pool, adapters: Sequence[Adapter]) -> list[float]:
    """Return the weight of each adapter in a merge that is linear."""
    if method.weights is None:
        raise UserError(
            f"--adapter exact: {method.title} is not linear in the vectors, so no adapter holds "
            "its result exactly; give a rank"
        )
    if len(adapters) < len(pool.members):
        other = next(
            name
            for name, member in zip(pool.names, pool.members, strict=True)
            if member not in adapters
        )
        raise UserError(f"--adapter exact: {other} is a whole model, not an adapter; give a rank")
    return method.weights(len(adapters))


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
