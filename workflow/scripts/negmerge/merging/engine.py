"""Merging states in memory, and files of any size within a fixed amount of memory."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from negmerge import __version__
from negmerge.checkpoints import StoredState, open_state
from negmerge.checks import FLOATS, require_finite, require_same_tensors
from negmerge.devices import find_device
from negmerge.errors import UserError, find
from negmerge.files import replacing
from negmerge.merging.blocks import Block, Memory, Stored, Vectors, is_finite
from negmerge.merging.checksums import Checksums, identity
from negmerge.merging.devices import to_host
from negmerge.merging.output import Output
from negmerge.merging.registry import METHODS, Method
from negmerge.merging.workers import Workers
from negmerge.settings.options import Value
from negmerge.states import State, shapes
from negmerge.vectors import is_batch_statistic

Result = TypeVar("Result")


def merge(
    method: str,
    vectors: Sequence[Mapping[str, Tensor]],
    *,
    device: str | torch.device = "cpu",
    block_numbers: int | None = None,
    **options: Value,
) -> State:
    """Merge task vectors.

    Args:
        method: a name in `METHODS`.
        vectors: at least one state of floating-point tensors; all with the same names and
            shapes. Sums run in their order.
        device: `cpu` or `cuda`, where the blocks are merged; no bit depends on it.
        block_numbers: how many numbers of each vector are taken at a time, as many as suit the
            device if none are given; no bit depends on it.
        options: the method's options.

    Returns:
        The merged vector, on the CPU: float32, or float64 where one of the vectors is.

    Raises:
        UserError: unknown method or option, no vector, names or shapes that differ, an integer
            tensor, NaN or infinity; a device that is not there.
    """
    place = find_device(device)
    chosen, settings = _choose(method, options, vectors)
    labels = [f"vector {number}" for number in range(1, len(vectors) + 1)]
    for vector, label in zip(vectors, labels, strict=True):
        require_same_tensors(shapes(vectors[0]), shapes(vector), label)
    kinds = [{name: tensor.dtype for name, tensor in vector.items()} for vector in vectors]
    sources = [Memory(vector, label) for vector, label in zip(vectors, labels, strict=True)]
    dtypes = _dtypes(kinds, labels)
    merged = {name: torch.empty(s, dtype=dtypes[name]) for name, s in shapes(vectors[0]).items()}
    with Workers(device=place) as workers:
        pool = Vectors(sources, shapes(vectors[0]), dtypes, block_numbers, workers)
        for block, rows in combined(chosen, settings, pool):
            merged[block.name].view(-1)[block.start : block.stop] = rows
    return merged


def merge_files(
    method: str,
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    base: str | Path | None = None,
    progress: bool = False,
    threads: int = 1,
    checksums: bool = True,
    device: str | torch.device = "cpu",
    block_numbers: int | None = None,
    **options: Value,
) -> dict:
    """Merge safetensors files, block by block, into a new file.

    Args:
        method: a name in `METHODS`.
        paths: task vectors, or checkpoints where `base` is given; each a file, an index of shards
            or a folder with one.
        output: the file to write, at once or not at all.
        base: the checkpoint before fine-tuning; its buffers (`vectors.in_vector`) stay out.
        progress: show a bar on standard error.
        threads: how many blocks are worked on at a time, on a GPU four at least; no bit depends
            on it.
        checksums: note the BLAKE3 of each file, None otherwise.
        device: as in `merge`. A GPU needs memory for the blocks that are worked on, not for the
            model.
        block_numbers: as in `merge`.
        options: the method's options.

    Returns:
        A report, also stored in the output's header: `method`, `options`, `inputs` (name and
        BLAKE3 of each file), `base` (likewise, or None), `version` of this library, `kept`
        (non-zero numbers of the result) and `numbers` (all of them).

    Raises:
        UserError: as `merge`; also a file that is missing, truncated or foreign.
    """
    place = find_device(device)
    chosen, settings = _choose(method, options, paths)
    files = [open_state(path) for path in paths]
    origin = None if base is None else open_state(base)
    workers = Workers(threads, place)
    pool = stored_pool(files, origin, block_numbers, workers)
    sums = Checksums(files if origin is None else [origin, *files], threads)
    if checksums:
        pool.done = sums.follow

    def report(known: Mapping[Path, str], kept: int) -> dict:
        return {
            "method": method,
            "options": settings,
            "inputs": [named for file in files for named in identity(file, known)],
            "base": None if origin is None else identity(origin, known),
            "version": __version__,
            "kept": kept,
            "numbers": pool.size,
        }

    with replacing(output) as partial, open(partial, "wb") as stream:
        # The header that comes first has the length of the last one, or more.
        file = Output(stream, pool, report(defaultdict(lambda: "0" * 64), pool.size))

        def write(block: Block, rows: Tensor) -> int:
            file.write(block, rows)
            return int(rows.count_nonzero())

        with workers:
            merged = combined(chosen, settings, pool, progress, write)
            kept = sum(count for _, count in merged)
            found = report(sums.known() if checksums else defaultdict(lambda: None), kept)
        file.finish(found)
    return found


def _choose(
    method: str, options: Mapping[str, object], vectors: Sequence
) -> tuple[Method, dict[str, Value]]:
    """Find the method and check its options, and that there is something to merge."""
    chosen = find("merge method", method, METHODS)
    settings = chosen.check(method, options).model_dump()
    if not vectors:
        raise UserError(f"{method}: no vectors to merge, at least one is needed")
    return chosen, settings


def _dtypes(
    kinds: Sequence[Mapping[str, torch.dtype]], labels: Sequence[str | Path]
) -> dict[str, torch.dtype]:
    """Return the dtype in which each tensor is merged: float64 where one vector has it."""
    for kind, label in zip(kinds, labels, strict=True):
        for name, dtype in kind.items():
            if not dtype.is_floating_point:
                raise UserError(
                    f"{label}: tensor {name!r} holds {dtype}, expected floating point; checkpoints "
                    "are merged with their base"
                )
            if dtype not in FLOATS:
                raise UserError(f"{label}: tensor {name!r} holds {dtype}, expected 16 to 64 bits")
    wide = {name for kind in kinds for name, dtype in kind.items() if dtype == torch.float64}
    return {name: torch.float64 if name in wide else torch.float32 for name in kinds[0]}


def stored_pool(
    files: Sequence[StoredState],
    base: StoredState | None,
    block_numbers: int | None = None,
    workers: Workers | None = None,
) -> Vectors:
    """Make a pool of files, after a check of their headers; see `Vectors`."""
    reference = files[0] if base is None else base
    for file in files:
        require_same_tensors(shapes(reference), shapes(file), file.path)
    names = reference.names
    if base is not None:
        for file in files:
            for name in names:
                if file.is_float(name) != base.is_float(name):
                    raise UserError(
                        f"{file.path}: tensor {name!r} and the base's are not both floating point"
                    )
        names = [name for name in names if base.is_float(name) and not is_batch_statistic(name)]
    names = sorted(names, key=lambda name: reference.place(name) or (reference.path, 0))
    everything = [*files, base] if base is not None else files
    kinds = [{name: file.dtype(name) for name in names} for file in everything]
    return Vectors(
        [Stored(file) for file in files],
        {name: reference.shape(name) for name in names},
        _dtypes(kinds, [file.path for file in everything]),
        block_numbers,
        workers,
        base,
    )


def combined(
    method: Method,
    settings: Mapping[str, Value],
    pool: Vectors,
    progress: bool = False,
    then: Callable[[Block, Tensor], Result] = lambda block, rows: rows,
) -> Iterator[tuple[Block, Result]]:
    """Merge block by block, in order.

    Args:
        method: of `METHODS`.
        settings: its options, checked, with defaults.
        pool: what is merged.
        progress: show a bar on standard error.
        then: what to make of the merged rows of a block, which come flattened and in the host's
            memory; called in the thread that merged them, so in several at once.

    Yields:
        Each block with what `then` returned, by default the rows.
    """
    with tqdm(
        total=method.passes * pool.size,
        desc=f"merge {method.title}",
        unit=" numbers",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        pool.passed = bar.update
        if method.survey is not None:
            settings = {**settings, "survey": method.survey(pool, **settings)}
        # How many passes a survey makes can depend on the options and the numbers.
        bar.total = bar.n + pool.size

        def work(block: Block) -> tuple[Block, Result]:
            rows = method.combine(block, **settings)
            # A sum can overflow though its terms are finite.
            if not is_finite(rows):
                require_finite(rows, block.name, f"{method.title}'s result")
            return block, then(block, to_host(rows.reshape(-1)))

        yield from pool.map(work)
