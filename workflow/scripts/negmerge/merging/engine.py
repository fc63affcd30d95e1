"""Merging states in memory, and files of any size within a fixed amount of memory."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from negmerge import __version__
from negmerge.checkpoints.checks import require_finite, require_same_tensors
from negmerge.checkpoints.divergence import DIVERGED
from negmerge.checkpoints.states import State, shapes
from negmerge.checkpoints.writer import Layout, StateWriter, told
from negmerge.errors import UserError, find
from negmerge.files import replacing
from negmerge.merging.blocks import Block, Memory, Vectors, is_finite
from negmerge.merging.checksums import Checksums, identity
from negmerge.merging.devices import to_host
from negmerge.merging.dtypes import merged_dtypes
from negmerge.merging.masks import count_nonzero
from negmerge.merging.pool import open_pool
from negmerge.merging.registry import METHODS, Method
from negmerge.merging.workers import Workers
from negmerge.models.devices import find_device
from negmerge.settings.options import Value

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
    chosen, settings = choose(method, options, vectors)
    labels = [f"vector {number}" for number in range(1, len(vectors) + 1)]
    for vector, label in zip(vectors, labels, strict=True):
        require_same_tensors(shapes(vectors[0]), shapes(vector), label)
    kinds = [{name: tensor.dtype for name, tensor in vector.items()} for vector in vectors]
    sources = [Memory(vector, label) for vector, label in zip(vectors, labels, strict=True)]
    dtypes = merged_dtypes(kinds, labels)
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
    key: str | None = None,
    progress: bool = False,
    threads: int = 1,
    checksums: bool = True,
    device: str | torch.device = "cpu",
    block_numbers: int | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    vocabulary: str | None = None,
    missing: Sequence[str] = (),
    **options: Value,
) -> dict:
    """Merge safetensors files, block by block, into a new file.

    Args:
        method: a name in `METHODS`.
        paths: task vectors, or checkpoints where `base` is given; each as `open_state` reads
            them.
        output: the file to write, at once or not at all.
        base: the checkpoint before fine-tuning; its buffers (`vectors.in_vector`) stay out.
        key: as in `open_state`, for all of them.
        progress: show a bar on standard error.
        threads: how many blocks are worked on at a time, on a GPU four at least; no bit depends
            on it.
        checksums: note the BLAKE3 of each file, None otherwise.
        device: as in `merge`. A GPU needs memory for the blocks that are worked on, not for the
            model.
        block_numbers: as in `merge`.
        include: see `open_pool`, as the next two.
        exclude: as `include`.
        vocabulary: as `include`.
        missing: points that the pool lacks, since they diverged; the report names them.
        options: the method's options.

    Returns:
        A report, also stored in the output's header: `method`, `options`, `inputs` (name and
        BLAKE3 of each file), `base` (likewise, or None), `version` of this library, `kept`
        (non-zero numbers of the result), `numbers` (all of them), `notes` (lines for the user)
        and, if any, `diverged` (the missing points).

    Raises:
        UserError: as `merge`; also a file that is missing, truncated or foreign.
    """
    place = find_device(device)
    chosen, settings = choose(method, options, paths)
    workers = Workers(threads, place)
    pool = open_pool(
        base,
        paths,
        include=include,
        exclude=exclude,
        vocabulary=vocabulary,
        key=key,
        block_numbers=block_numbers,
        workers=workers,
    )
    vectors = pool.vectors
    sums = Checksums(pool.states, threads)
    if checksums:
        vectors.done = sums.follow

    def report(known: Mapping[Path, str], kept: int) -> dict:
        return {
            "method": method,
            "options": settings,
            "inputs": [named for member in pool.members for named in identity(member, known)],
            "base": None if pool.base is None else identity(pool.base, known),
            "version": __version__,
            "kept": kept,
            "numbers": vectors.size,
            "notes": pool.notes,
            **({DIVERGED: list(missing)} if missing else {}),
        }

    layout = {name: Layout(vectors.dtypes[name], s) for name, s in sorted(vectors.shapes.items())}
    # The header that comes first has the length of the last one, or more.
    longest = told(report(defaultdict(lambda: "0" * 64), vectors.size))
    with replacing(output) as partial, StateWriter(partial, layout, longest) as file:

        def write(block: Block, rows: Tensor) -> int:
            file.write(block.name, block.start, rows)
            return count_nonzero(rows)

        with workers:
            merged = combined(chosen, settings, vectors, progress, write)
            kept = sum(count for _, count in merged)
            found = report(sums.known() if checksums else defaultdict(lambda: None), kept)
        file.finish(told(found))
    return found


def choose(
    method: str, options: Mapping[str, object], vectors: Sequence
) -> tuple[Method, dict[str, Value]]:
    """Find the method and check its options, and that there is something to merge."""
    chosen = find("merge method", method, METHODS)
    settings = chosen.check(method, options).model_dump()
    if not vectors:
        raise UserError(f"{method}: no vectors to merge, at least one is needed")
    return chosen, settings


def combined(
    method: Method,
    settings: Mapping[str, Value],
    pool: Vectors,
    progress: bool = False,
    then: Callable[[Block, Tensor], Result] = lambda block, rows: rows,
    names: Sequence[str] | None = None,
) -> Iterator[tuple[Block, Result]]:
    """Merge block by block, in order.

    Args:
        method: of `METHODS`.
        settings: its options, checked, with defaults.
        pool: what is merged.
        progress: show a bar on standard error.
        then: what to make of the merged rows of a block, which come flattened and in the host's
            memory; called in the thread that merged them, so in several at once.
        names: the tensors to merge, all if none are given; a survey sees all in either case.

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

        yield from pool.map(work, names)
