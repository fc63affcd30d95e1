"""Subtracting a vector from a checkpoint on disk."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from negmerge.adapters import Adapter, is_adapter, open_adapter
from negmerge.checkpoints.checks import require_same_tensors
from negmerge.checkpoints.hub import locate
from negmerge.checkpoints.sameness import tied
from negmerge.checkpoints.states import shapes
from negmerge.checkpoints.stored import StoredState
from negmerge.merging.blocks import Block, Stored, Vectors, Workers
from negmerge.merging.pool import Pool, in_file_order, stored_dtypes
from negmerge.standalone.alignment import listed
from negmerge.standalone.output import Results, Target, Tell, write_output
from negmerge.standalone.pools import changeable, notes_of, open_place, short_name
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
    pool = _open_pool(base, vector, key, threads)

    def results(step: Step, names: Sequence[str]) -> Results:
        def work(block: Block) -> tuple[Block, object]:
            rows: Tensor = next(iter(block)).reshape(-1)
            return block, step(block, rows)

        return pool.vectors.map(work, names)

    target = Target(Path(output), base, find_dtype(dtype), coefficient, force=force)
    facts = {"method": None, "options": {}}
    return write_output(pool, target, facts, results, command=command, threads=threads, tell=tell)


def _open_pool(base: str | Path, place: str | Path, key: str | None, threads: int) -> Pool:
    """Open a vector that is subtracted as it is, as a pool of one."""
    origin = open_place(base, key)
    vector = _open_vector(origin, place, key)
    names, held = changeable(origin), set(vector.names)
    # What is tied to a tensor of the vector changes with it.
    ties = [
        tuple(sorted(group, key=lambda name: name not in held))
        for group in tied(origin, names)
        if len(held.intersection(group)) == 1
    ]
    led = {name for group in ties for name in group[1:]}
    present = in_file_order(origin, [name for name in names if name in held])
    stored = [one for one in (vector, origin) if isinstance(one, StoredState)]
    vectors = Vectors(
        [Stored(vector) if isinstance(vector, StoredState) else vector],
        {name: origin.shape(name) for name in present},
        stored_dtypes(stored, present),
        workers=Workers(threads),
        base=origin,
    )
    notes = [*notes_of(origin), *vector.notes]
    lacking = [name for name in names if name not in held | led]
    if lacking and isinstance(vector, StoredState):
        notes.append(f"{vector.path}: lacks {listed(lacking)}; they stay the base's")
    return Pool(vectors, [short_name(place)], [vector], origin, ties, [], {}, notes)


def _open_vector(base: StoredState, place: str | Path, key: str | None) -> StoredState | Adapter:
    """Open a vector or an adapter.

    Raises:
        UserError: it cannot be read, or has a tensor that the base lacks or has in another shape.
    """
    path = locate(place)
    if is_adapter(path):
        return open_adapter(path, base)
    vector, names = open_place(path, key), set(changeable(base))
    found = {name: base.shape(name) for name in vector.names if name in names}
    require_same_tensors(found, shapes(vector), vector.path)
    return vector
