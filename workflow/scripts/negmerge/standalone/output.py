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
    index,
    read_size,
    split,
    told,
)
from negmerge.files import write_json
from negmerge.merging.blocks import Block
from negmerge.merging.pool import Checksums, Pool, identity, in_file_order
from negmerge.standalone import folder
from negmerge.standalone.pools import short_name
from negmerge.standalone.shards import Counts, Plan, Rounding, Shards, Step
from negmerge.standalone.working import Working, require_room, stamps, working

# Room in a header for lines that are known at the end only, and on the disk for small files.
SPARE = 4096
SMALL_FILES = 2**20


def make_report(
    pool: Pool,
    facts: Mapping[str, object],
    base: str | Path,
    dtype: torch.dtype | None,
    known: Mapping[Path, str],
    counts: Counts,
    findings: list[str],
) -> dict:
    """Return the report of an output; see `unlearning.unlearn`."""
    members = zip(pool.names, pool.members, strict=True)
    return {
        **facts,
        "dtype": "auto" if dtype is None else str(dtype).removeprefix("torch."),
        "base": {"name": short_name(base), "files": identity(pool.base, known)},
        "pool": [{"name": name, "files": identity(one, known)} for name, one in members],
        "version": __version__,
        "numbers": pool.vectors.size,
        "kept": counts.kept,
        "swallowed": counts.kept - counts.moved,
        "matched": pool.chosen,
        "notes": [*pool.notes, *findings],
    }


def find_in(counts: Counts, where: Path) -> list[str]:
    """Return what the user ought to know of the numbers, a line each."""
    if not counts.kept:
        return [f"{where}: the merged vector is zero, so nothing changes"]
    swallowed = counts.kept - counts.moved
    if not swallowed:
        return []
    share = f"{swallowed:,} of {counts.kept:,} changes ({100 * swallowed / counts.kept:.2f} %)"
    return [
        f"{where}: rounding swallowed {share}, where it gives the base's number; --dtype float32 "
        "keeps more of them"
    ]


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
    plan = make_plan(pool, target)
    checksums = begin(pool, target, threads, tell)
    facts = {**facts, "coefficient": target.coefficient}

    def report(known: Mapping[Path, str], counts: Counts, findings: list[str]) -> dict:
        found = make_report(pool, facts, target.base, target.dtype, known, counts, findings)
        return found | {"command": command}

    longest = told(report(defaultdict(lambda: "0" * 64), Counts(), []))
    spare = 0 if target.folder else len(longest["negmerge"]) + SPARE
    with working(target.output, _fingerprint(plan, target, facts, files_of(pool))) as work:
        _require_room(plan, target, work)
        with Shards(plan, work, FORMAT, spare) as shards, pool.vectors.workers:
            step = _step(plan, target, shards)
            counts = shards.run(pool.base, results(step, plan.merged_left(work.done)))
            findings = [] if target.coefficient == 0 else find_in(counts, target.output)
            for line in findings:
                tell(line)
            found = report(checksums.known(), counts, findings)
            shards.finish(None if target.folder else told(found))
        if target.folder:
            _complete(pool, target, plan, work, found)
        work.publish(work.content if target.folder else work.content / next(iter(plan.files)))
    return found


def begin(pool: Pool, target: Target, threads: int, tell: Tell) -> Checksums:
    """Check that the output may be written, tell what the pool's opening has shown, and return the
    checksums of its files, which follow the merge.
    """
    folder.require_replaceable(target.output, target.force, files_of(pool))
    for line in pool.notes:
        tell(line)
    checksums = Checksums(pool.states, threads)
    pool.vectors.done = checksums.follow
    return checksums


def files_of(pool: Pool) -> list[Path]:
    """Return the files of the base and the members."""
    return [path for state in pool.states for path in state.files]


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


def _step(plan: Plan, target: Target, shards: Shards) -> Step:
    dtypes = {name: tensor.dtype for name, tensor in plan.tensors.items()}
    rounding = Rounding(target.output, dtypes, shards.write)
    if target.coefficient is None:
        return rounding.storing()
    return rounding.subtracting(target.coefficient)


def _fingerprint(
    plan: Plan, target: Target, facts: Mapping[str, object], inputs: Sequence[Path]
) -> dict:
    """Return all on which the bytes of the shards depend."""
    return {
        "version": __version__,
        "facts": dict(facts),
        "dtype": str(target.dtype),
        "shards": {file: list(names) for file, names in plan.files.items()},
        "merged": {name: list(group) for name, group in plan.merged.items()},
        "inputs": stamps(inputs),
    }


def _require_room(plan: Plan, target: Target, work: Working) -> None:
    beside = SMALL_FILES
    if target.folder:
        files = folder.companions(target.folder)
        beside += sum((target.folder / path).stat().st_size for path in files)
    require_room(target.output, plan.bytes_left(work.done) + beside)


def _complete(pool: Pool, target: Target, plan: Plan, work: Working, report: dict) -> None:
    """Add all to a folder that belongs to a model beside its weights."""
    folder.copy_companions(target.folder, work.content)
    folder.set_config(work.content, target.dtype, bool(pool.parted))
    if len(plan.files) > 1:
        name = f"{folder.stem(pool.base)}.safetensors.index.json"
        write_json(work.content / name, index(plan.tensors, plan.files))
    write_json(work.content / "negmerge.json", report)
    folder.write_card(work.content, report, target.folder)
