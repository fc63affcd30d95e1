"""What becomes of a base, written as a file or folder, with a report."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from negmerge import __version__
from negmerge.checkpoints.writer import (
    FORMAT,
    LARGEST,
    Layout,
    file_names,
    header_metadata,
    index,
    read_size,
    split,
)
from negmerge.files import write_json
from negmerge.merging.blocks import Block
from negmerge.merging.pool import Checksums, Pool, identity, in_file_order
from negmerge.standalone import folder
from negmerge.standalone.pools import short_name
from negmerge.standalone.shards import Counts, Plan, Shards, Step
from negmerge.standalone.working import require_room, stamps, working

# Room in a header for lines that are known at the end only, and on the disk for small files.
SPARE = 4096
SMALL_FILES = 2**20

Results = Iterator[tuple[Block, Counts]]
Tell = Callable[[str], object]


@dataclass(frozen=True)
class Target:
    """Where and how a result is written."""

    output: Path
    base: str | Path
    # None keeps the base's; a vector is float32 then.
    dtype: torch.dtype | None = None
    # Of the vector that is subtracted; None writes the vector itself.
    coefficient: float | None = None
    shard_size: str = LARGEST
    force: bool = False

    @property
    def folder(self) -> Path | None:
        """The base's folder, where the output is to be one as well."""
        if self.coefficient is None or self.output.suffix == ".safetensors":
            return None
        return folder.base_folder(self.base)


def write_output(
    pool: Pool,
    target: Target,
    facts: Mapping[str, object],
    results: Callable[[Step, Sequence[str]], Results],
    *,
    command: str | None = None,
    threads: int = 1,
    tell: Tell = lambda line: None,
) -> dict:
    """Write what becomes of a base, or a vector, and return the report; see `unlearn`.

    `results` merges some tensors block by block, calls a step with each block and its merged rows,
    and yields the block and what the step returned.
    """
    plan, output = make_plan(pool, target), target.output
    checksums = begin(pool, target, threads, tell)

    def report(known: Mapping[Path, str], counts: Counts, lines: Sequence[str]) -> dict:
        return make_report(pool, target, facts, known, counts, lines, command)

    longest = header_metadata(report(defaultdict(lambda: "0" * 64), Counts(), []))
    spare = 0 if target.folder else len(longest["negmerge"]) + SPARE
    with working(output, _fingerprint(plan, pool, target, facts)) as work:
        left = plan.left(work.done)
        companions = folder.companions(target.folder) if target.folder else []
        small = SMALL_FILES + sum((target.folder / path).stat().st_size for path in companions)
        require_room(output, sum(plan.tensors[name].bytes for name in left) + small)
        with Shards(plan, work, FORMAT, spare) as shards, pool.vectors.workers:
            merged = results(
                shards.step(target.coefficient), [name for name in left if name in plan.merged]
            )
            counts = shards.run(pool.base, merged)
            lines = [] if target.coefficient == 0 else _notes(counts, output)
            for line in lines:
                tell(line)
            final = report(checksums.known(), counts, lines)
            shards.finish(None if target.folder else header_metadata(final))
        if target.folder:
            folder.copy_companions(target.folder, work.content)
            folder.set_config(work.content, target.dtype, bool(pool.parted))
            if len(plan.files) > 1:
                name = f"{folder.stem(pool.base)}.safetensors.index.json"
                write_json(work.content / name, index(plan.tensors, plan.files))
            write_json(work.content / "negmerge.json", final)
            folder.write_card(work.content, final, target.folder)
        work.publish(work.content if target.folder else work.content / next(iter(plan.files)))
    return final


def begin(pool: Pool, target: Target, threads: int, tell: Tell) -> Checksums:
    """Check that the output may be written, tell the notes, and return checksums that follow."""
    files = [path for state in pool.states for path in state.files]
    folder.require_replaceable(target.output, target.force, files)
    for line in pool.notes:
        tell(line)
    checksums = Checksums(pool.states, threads)
    pool.vectors.done = checksums.follow
    return checksums


def make_report(
    pool: Pool,
    target: Target,
    facts: Mapping[str, object],
    known: Mapping[Path, str],
    counts: Counts,
    lines: Sequence[str],
    command: str | None,
) -> dict:
    """Return the report of an output; see `unlearning.unlearn`."""
    members = zip(pool.names, pool.members, strict=True)
    return {
        **facts,
        "coefficient": target.coefficient,
        "dtype": str(target.dtype or "auto").removeprefix("torch."),
        "base": {"name": short_name(target.base), "files": identity(pool.base, known)},
        "pool": [{"name": name, "files": identity(member, known)} for name, member in members],
        "version": __version__,
        "numbers": pool.vectors.size,
        "kept": counts.kept,
        "lost_to_rounding": counts.kept - counts.moved,
        "matched": pool.chosen,
        "notes": [*pool.notes, *lines],
        "command": command,
    }


def _notes(counts: Counts, where: Path) -> list[str]:
    """Return what the user ought to know of the numbers, a line each."""
    lost_to_rounding = counts.kept - counts.moved
    if not counts.kept:
        return [f"{where}: the merged vector is zero, so nothing changes"]
    if not lost_to_rounding:
        return []
    share = 100 * lost_to_rounding / counts.kept
    return [
        f"{where}: {lost_to_rounding:,} of {counts.kept:,} changes ({share:.2f} %) are lost to "
        "rounding, which gives the base's number; --dtype float32 keeps more of them"
    ]


def make_plan(pool: Pool, target: Target) -> Plan:
    """Return what is written where."""
    vectors, base = pool.vectors, pool.base
    if target.coefficient is None:
        tensors = {
            name: Layout(target.dtype or vectors.dtypes[name], shape)
            for name, shape in vectors.shapes.items()
        }
        return Plan(tensors, {"vector.safetensors": list(tensors)}, {n: [n] for n in tensors})
    tensors = {
        name: Layout(
            target.dtype if target.dtype and base.is_float(name) else base.dtype(name),
            base.shape(name),
        )
        for name in in_file_order(base, base.names)
    }
    stem = folder.stem(base)
    # open_clip reads no shards.
    whole = target.folder is None or stem.startswith("open_clip")
    shards = split(tensors, pool.ties, None if whole else read_size(target.shard_size))
    files = dict(zip(file_names(stem, len(shards)), shards, strict=True))
    tied = {group[0]: list(group) for group in pool.ties}
    return Plan(tensors, files, {name: tied.get(name, [name]) for name in vectors.shapes})


def _fingerprint(plan: Plan, pool: Pool, target: Target, facts: Mapping[str, object]) -> dict:
    """Return all on which the bytes of the shards depend."""
    return {
        "version": __version__,
        "facts": {**facts, "coefficient": target.coefficient},
        "dtype": str(target.dtype),
        "shards": {file: list(names) for file, names in plan.files.items()},
        "merged": {name: list(group) for name, group in plan.merged.items()},
        "inputs": stamps(path for state in pool.states for path in state.files),
    }
