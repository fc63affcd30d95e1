"""From a base and a pool, or a vector, on disk to a model that has unlearned, in one pass."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from negmerge.adapters.reading import is_adapter, open_adapter
from negmerge.checkpoints.hub import listed, locate
from negmerge.checkpoints.states import require_same_tensors, shapes
from negmerge.errors import UserError, find
from negmerge.merging.blocks import Block, Stored, Vectors, Workers
from negmerge.merging.engine import choose, combined
from negmerge.merging.pool import Pool, in_file_order, stored_dtypes
from negmerge.models.devices import find_device
from negmerge.settings.checks import Value
from negmerge.standalone import folder
from negmerge.standalone.alignment import tied
from negmerge.standalone.output import (
    LARGEST,
    Results,
    Target,
    Tell,
    write_adapter_output,
    write_output,
)
from negmerge.standalone.parts import (
    describe,
    read_survey,
    require_survey,
    write_part,
    write_survey,
)
from negmerge.standalone.pools import changeable, open_place, open_pool, short_name
from negmerge.standalone.shards import Step

DTYPES = {
    "auto": None,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def unlearn(
    base: str | Path,
    pool: Sequence[str | Path],
    output: str | Path,
    *,
    method: str = "negmerge",
    coefficient: float | None = None,
    dtype: str | torch.dtype | None = None,
    vector_only: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    vocabulary: str | None = None,
    key: str | None = None,
    adapter: int | None = None,
    max_shard_size: str = LARGEST,
    force: bool = False,
    part: tuple[int, int] | None = None,
    survey: str | Path | None = None,
    push_to: str | None = None,
    threads: int | None = None,
    device: str | torch.device = "cpu",
    block_numbers: int | None = None,
    progress: bool = False,
    tell: Tell = lambda line: None,
    command: str | None = None,
    evaluation: Mapping[str, object] | None = None,
    **options: Value,
) -> dict:
    """Write base - coefficient * merged vector of a pool, as a model that loads like the base.

    It is computed in float32 (float64 where a model has it) and rounded once. What the merged
    vector leaves at zero keeps the base's exact bits, and so do tensors that take no part. A run
    that is interrupted leaves nothing at `output`.

    Args:
        base: the weights before forgetting: a folder, file or hub id.
        pool: models fine-tuned from it on what is to be forgotten, or adapters, likewise.
        output: a folder, if `base` is one and `output` does not end in .safetensors; else a file.
        method: a name in `merging.METHODS`.
        coefficient: the scale of the subtracted vector; below zero, it is added.
        dtype: of the output's floating-point tensors, `float32`, `bfloat16` or `float16`; `auto`
            or None keeps the base's.
        vector_only: write the merged vector instead, into a file, as float32 if no dtype is given.
        adapter: write an adapter of this rank in place of a model, into a folder.
        include: regular expressions; only tensors whose name one of them fits take part.
        exclude: regular expressions; tensors whose name one of them fits do not.
        vocabulary: `base` takes the base's rows of embeddings with more or fewer rows.
        key: where in a training checkpoint the weights lie, such as `ema`.
        max_shard_size: of the files in a folder, such as 5GB.
        force: overwrite `output`, if it is a file or a folder that this function wrote.
        part: (I, N) writes the I-th of N parts of the files of a folder, I from 1. The call that
            finds all parts written makes `output` of them, with the bytes of a single call. (0, N)
            writes the survey alone.
        survey: the file of the survey, which a method needs for parts if it must know all of the
            vectors before it merges the first tensor, such as `ties`.
        push_to: a repository of the hub, `org/name`, to which the finished folder is uploaded. It
            is made, private, if it is not there.
        threads: how many blocks are worked on at a time, as many as there are processors if none
            are given; no bit depends on it.
        device: `cpu` or `cuda`; no bit depends on it.
        block_numbers: as in `merging.merge`.
        progress: show a bar on standard error.
        tell: called with each line that the user ought to see, as soon as it is known.
        command: what the model card gives as the command.
        evaluation: how the coefficient was chosen, for the report and the model card; see
            `unlearn_by_evaluation`.
        options: the method's options.

    Returns:
        A report, also stored with the output: `method`, `options`, `coefficient`, `dtype`, `base`
        and `pool` (name and BLAKE3 of the files), `version`, `numbers` of the vector, `kept` (those
        that are not zero), `lost_to_rounding` (those of them that rounding set back to the base's
        value), `matched` (what include and exclude fit), `notes` and `command`; with an
        `evaluation` also that. Where parts are missing yet, `part`, its `files` and the numbers of
        those that are `missing`; of a survey, its file.

    Raises:
        UserError: anything that is missing, does not fit or cannot be done right; nothing is
            written then.
    """
    place = find_device(device)
    chosen, settings = choose(method, options, pool)
    if coefficient is None and not vector_only:
        raise UserError("the coefficient is missing; give one, such as 0.9, or ask for the vector")
    target = Target(
        Path(output),
        base,
        find_dtype(dtype),
        None if vector_only else coefficient,
        max_shard_size,
        force,
    )
    if adapter is not None and (vector_only or part is not None or target.dtype is not None):
        raise UserError("an adapter goes with neither --vector-only nor --dtype nor --part")
    if push_to is not None:
        is_folder = part is None and (target.folder is not None or adapter is not None)
        folder.require_hub(push_to, is_folder)
    number, count = part or (None, None)
    require_survey(chosen, survey, number, count)
    choice = {"include": include, "exclude": exclude, "vocabulary": vocabulary, "key": key}
    workers = Workers(threads, place)
    opened = open_pool(
        base, pool, **choice, block_numbers=block_numbers, workers=workers, progress=progress
    )
    if len(pool) == 1 and method == "negmerge":
        opened.notes.append("a pool of one: there is nothing to agree on, so all changes count")
    facts = {"method": method, "options": settings}
    asked = {} if part is None and survey is None else describe(opened, **facts, **choice)
    if number == 0:
        write_survey(Path(survey), asked, chosen, settings, opened.vectors, progress)
        return {"survey": str(survey), **facts}
    if survey is not None:
        settings = settings | {"survey": read_survey(Path(survey), asked, chosen)}

    merge = partial(combined, chosen, settings, opened.vectors, progress)
    facts |= {} if evaluation is None else {"evaluation": evaluation}
    how = {"command": command, "tell": tell}
    if part is not None:
        asked |= {"coefficient": coefficient, "dtype": str(target.dtype or "auto")}
        asked |= {"max_shard_size": max_shard_size, "parts": count}
        return write_part(opened, target, facts, merge, part, asked, **how)
    if adapter is None:
        report = write_output(opened, target, facts, merge, **how)
    else:
        report = write_adapter_output(opened, target, facts, merge, adapter, **how)
    if push_to is not None:
        tell(f"{output}: is at {folder.push(target.output, push_to)}")
    return report


def find_dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    """Return the dtype of a name; None for `auto`."""
    if dtype in DTYPES.values():
        return dtype
    return find("dtype", str(dtype).removeprefix("torch."), DTYPES)


def negate_files(
    base: str | Path,
    vector: str | Path,
    coefficient: float,
    output: str | Path,
    dtype: str | torch.dtype | None = None,
    *,
    key: str | None = None,
    force: bool = False,
    threads: int | None = None,
    tell: Tell = lambda line: None,
    command: str | None = None,
) -> dict:
    """Write base - coefficient * vector, or adapter, as `unlearn` does; it may lack tensors."""
    pool = _open_pool(base, vector, key, threads)

    def results(step: Step, names: Sequence[str]) -> Results:
        def work(block: Block) -> tuple[Block, object]:
            return block, step(block, next(iter(block)).reshape(-1))

        return pool.vectors.map(work, names)

    target = Target(Path(output), base, find_dtype(dtype), coefficient, force=force)
    facts = {"method": None, "options": {}}
    return write_output(pool, target, facts, results, command=command, tell=tell)


def _open_pool(base: str | Path, place: str | Path, key: str | None, threads: int | None) -> Pool:
    """Open a vector or an adapter that is subtracted as it is, as a pool of one."""
    origin = open_place(base, key)
    names, path = changeable(origin), locate(place)
    if is_adapter(path):
        vector = open_adapter(path, origin)
        source, states = vector, [origin]
    else:
        vector = open_place(path, key)
        expected = {name: origin.shape(name) for name in vector.names if name in set(names)}
        require_same_tensors(expected, shapes(vector), vector.path)
        source, states = Stored(vector), [vector, origin]
    held = set(vector.names)
    # What is tied to a tensor of the vector changes with it.
    ties = [
        tuple(sorted(group, key=lambda name: name not in held))
        for group in tied(origin, names)
        if len(held.intersection(group)) == 1
    ]
    led = {name for group in ties for name in group[1:]}
    present = in_file_order(origin, [name for name in names if name in held])
    vectors = Vectors(
        [source],
        {name: origin.shape(name) for name in present},
        stored_dtypes(states, present),
        workers=Workers(threads),
        base=origin,
    )
    notes = [*origin.notes, *vector.notes]
    lacking = [name for name in names if name not in held | led]
    if lacking and vector in states:
        notes.append(f"{vector.path}: lacks {listed(lacking)}; they stay the base's")
    return Pool(vectors, [short_name(place)], [vector], origin, ties, [], {}, notes)
