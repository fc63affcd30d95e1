"""Subtracting a vector from a checkpoint on disk."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from negmerge.merging.blocks import Block
from negmerge.merging.pool import open_vector
from negmerge.standalone.output import Results, Target, Tell, write_output
from negmerge.standalone.subtracting import Step
from negmerge.standalone.unlearning import find_dtype


def negate_files(
    base: str | Path,
    vector: str | Path,
    coefficient: float,
    output: str | Path,
    dtype: str | torch.dtype | None = None,
    *,
    key: str | None = None,
    force: bool = False,
    threads: int = 1,
    tell: Tell = lambda line: None,
    command: str | None = None,
) -> dict:
    """Write base - coefficient * vector, as `unlearn` does.

    Args:
        base: the checkpoint: a folder, file or hub id.
        vector: a task or merged vector of it, likewise, or an adapter. Tensors that it lacks stay
            the base's.
        coefficient: the scale.
        output: see `unlearn`, as all others.
        dtype: see `unlearn`.
        key: see `unlearn`.
        force: see `unlearn`.
        threads: see `unlearn`.
        tell: see `unlearn`.
        command: see `unlearn`.

    Returns:
        A report like that of `unlearn`, whose `pool` is the vector.

    Raises:
        UserError: as `unlearn`.
    """
    pool = open_vector(base, vector, key=key, threads=threads)

    def results(step: Step, names: Sequence[str]) -> Results:
        def work(block: Block) -> tuple[Block, object]:
            rows: Tensor = next(iter(block)).reshape(-1)
            return block, step(block, rows)

        return pool.vectors.map(work, names)

    target = Target(Path(output), base, find_dtype(dtype), coefficient, force=force)
    facts = {"method": None, "options": {}}
    return write_output(pool, target, facts, results, command=command, threads=threads, tell=tell)
