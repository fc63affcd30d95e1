"""Merging states in memory, and files of any size within a fixed amount of memory."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from negmerge import __version__, plugins
from negmerge.checkpoints.divergence import DIVERGED, TIMES
from negmerge.checkpoints.states import State, require_finite, require_same_tensors, shapes
from negmerge.checkpoints.writer import Layout, StateWriter, header_metadata
from negmerge.errors import UserError, find
from negmerge.files import replacing
from negmerge.merging.blocks import Block, Memory, Vectors, Workers, is_finite, to_host
from negmerge.merging.lines import Lines, scales
from negmerge.merging.pool import Checksums, Pool, identity, merged_dtypes
from negmerge.merging.signs import count_nonzero
from negmerge.models.devices import find_device
from negmerge.settings.checks import Described, Value, checked
from negmerge.settings.recipe import Settings

Result = TypeVar("Result")
LINES = Lines.model_fields


@dataclass(frozen=True)
class Method(Described):
    """A merge method.

    Attributes:
        combine: takes a `blocks.Block`, which gives the same rows of one tensor of each vector,
            with the options as keyword arguments, and gives the merged rows.
        survey: what the method must know of all vectors before it can combine the first block.
            It takes the `blocks.Vectors` and the options; `combine` gets its result as `survey`.
            It consists of what JSON holds, and its type is annotated: jobs share it in a file.
        passes: how often a merge reads the vectors, as far as is known before.
        ordered: the result depends on the order of the vectors by more than rounding.
        times: takes the number of vectors and the options, and gives how many times the result is,
            by construction, what the method gives with its defaults. The coefficient of a study's
            merge is searched in units of that, so that both are chosen alike.
    """

    combine: Callable[..., Tensor]
    survey: Callable[..., object] | None = None
    passes: int = 1
    ordered: bool = False
    times: Callable[..., float] = lambda vectors, **options: 1

    def check(self, where: str, options: Mapping[str, object]) -> Settings:
        """Check options, those of every merge too; return the method's own with their defaults."""
        checked(where, Lines, shared_options(options))
        return super().check(where, own_options(options))


# By name: one file in `methods/` each, imported when it is asked for.
METHODS: plugins.Registry[Method] = plugins.Registry(plugins.MERGE_METHODS, "METHOD")


def merge(
    method: str,
    vectors: Sequence[Mapping[str, Tensor]],
    *,
    threads: int | None = None,
    device: str | torch.device = "cpu",
    block_numbers: int | None = None,
    **options: Value,
) -> State:
    """Merge task vectors.

    Args:
        method: a name in `METHODS`.
        vectors: at least one state of floating-point tensors; all with the same names and
            shapes. Sums run in their order.
        threads: how many blocks are worked on at a time; None for the processors that this process
            may use. No bit depends on it.
        device: `cpu` or `cuda`, where the blocks are merged; no bit depends on it.
        block_numbers: how many numbers of each vector are taken at a time, as many as suit the
            device if none are given; no bit depends on it.
        options: the method's options, and those of every merge, `lines.Lines`.

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
    with Workers(threads, place) as workers:
        pool = Vectors(sources, shapes(vectors[0]), dtypes, block_numbers, workers)
        for block, rows in combined(chosen, settings, pool):
            merged[block.name].view(-1)[block.start : block.stop] = rows
    return merged


def merge_pool(
    method: str,
    options: Mapping[str, object],
    pool: Pool,
    output: str | Path,
    *,
    progress: bool = False,
    checksums: bool = True,
    missing: Sequence[str] = (),
) -> dict:
    """Merge a pool into a new safetensors file, and return the report of `merge_files`.

    `missing` are points that the pool lacks, since they diverged; the report names them.
    """
    chosen, settings = choose(method, options, pool.members)
    vectors, workers = pool.vectors, pool.vectors.workers
    times = chosen.times(len(pool.members), **settings)
    digests = Checksums(pool.states, workers.threads)
    if checksums:
        vectors.done = digests.follow

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
            **({TIMES: times} if times != 1 else {}),
        }

    layout = {name: Layout(vectors.dtypes[name], s) for name, s in sorted(vectors.shapes.items())}
    # The header that comes first has the length of the last one, or more.
    longest = header_metadata(report(defaultdict(lambda: "0" * 64), vectors.size))
    with replacing(output) as partial, StateWriter(partial, layout, longest) as file:

        def write(block: Block, rows: Tensor) -> int:
            file.write(block.name, block.start, rows)
            return count_nonzero(rows)

        with workers:
            merged = combined(chosen, settings, vectors, progress, write)
            kept = sum(count for _, count in merged)
            known = digests.known() if checksums else defaultdict(lambda: None)
        final = report(known, kept)
        file.finish(header_metadata(final))
    return final


def choose(
    method: str, options: Mapping[str, object], vectors: Sequence
) -> tuple[Method, dict[str, Value]]:
    """Find the method and check its options, and that there is something to merge."""
    chosen = find("merge method", method, METHODS)
    settings = chosen.check(method, options).model_dump()
    settings |= Lines(**shared_options(options)).model_dump(exclude_defaults=True)
    if not vectors:
        raise UserError(f"{method}: no vectors to merge, at least one is needed")
    return chosen, settings


def shared_options(settings: Mapping[str, Value]) -> dict[str, Value]:
    """Keep the options of every merge."""
    return {name: value for name, value in settings.items() if name in LINES}


def own_options(settings: Mapping[str, Value]) -> dict[str, Value]:
    """Leave out the options of every merge, which the functions of a method do not take."""
    return {name: value for name, value in settings.items() if name not in LINES}


def combined(
    method: Method,
    settings: Mapping[str, Value],
    pool: Vectors,
    progress: bool = False,
    then: Callable[[Block, Tensor], Result] = lambda block, rows: rows,
    names: Sequence[str] | None = None,
) -> Iterator[tuple[Block, Result]]:
    """Merge block by block, in order; yield each block with what `then` returned for its rows.

    `then` gets the merged rows flattened and in the host's memory, in the thread that merged them.
    Only the tensors of `names` are merged, if it is given; a survey sees all in either case, and
    `settings` may hold one that was taken before. Numbers are scaled by depth after the merge, as
    the method leaves them, and only where `settings` say so.
    """
    lines, settings = shared_options(settings), own_options(settings)
    scale = scales(pool.shapes, **lines) if "lines" in lines else {}
    size = sum(math.prod(pool.shapes[name]) for name in names or pool.shapes)
    with tqdm(
        total=(method.passes - 1) * pool.size + size,
        desc=f"merge {method.title}",
        unit=" numbers",
        unit_scale=True,
        disable=not progress,
    ) as bar:
        pool.passed = bar.update
        start = time.perf_counter()
        if method.survey is not None and "survey" not in settings:
            settings = {**settings, "survey": method.survey(pool, **settings)}
        pool.workers.computing += time.perf_counter() - start
        # How many passes a survey makes can depend on the options and the numbers.
        bar.total = bar.n + size

        def work(block: Block) -> tuple[Block, Result]:
            start = time.perf_counter()
            rows = method.combine(block, **settings)
            if scale:
                # Adding 0 makes +0 of -0.
                rows = (rows * scale[block.name]).add_(0.0)
            # A sum can overflow though its terms are finite.
            if not is_finite(rows):
                require_finite(rows, block.name, f"{method.title}'s result")
            pool.workers.computing += time.perf_counter() - start
            return block, then(block, to_host(rows.reshape(-1)))

        yield from pool.map(work, names)
