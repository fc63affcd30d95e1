"""Writing an unlearned model as a file, a folder or an adapter, with a report."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from huggingface_hub import split_state_dict_into_shards_factory
from torch import Tensor

from negmerge import __version__
from negmerge.adapters.writing import Factored, Layers, factor, write_adapter
from negmerge.checkpoints.gguf import GgufFile
from negmerge.checkpoints.writer import FORMAT, Layout, header_metadata
from negmerge.errors import UserError
from negmerge.files import write_json
from negmerge.merging.blocks import Block
from negmerge.merging.pool import Checksums, Pool, identity, in_file_order
from negmerge.merging.signs import count_nonzero
from negmerge.standalone import folder
from negmerge.standalone.folder import publish, working
from negmerge.standalone.pools import short_name
from negmerge.standalone.shards import Counts, Plan, Shards, Step

# The size that transformers gives its shards.
LARGEST = "5GB"
# Room in a header for lines that are known at the end only.
SPARE = 4096

Results = Iterator[tuple[Block, Counts]]
# Merges some tensors block by block, calls a step with each block and its merged rows, and yields
# the block and what the step returned.
Merge = Callable[[Step, Sequence[str]], Results]
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
        """The base's folder or GGUF file, where the output is to be a folder."""
        if self.coefficient is None or self.output.suffix == ".safetensors":
            return None
        return folder.base_folder(self.base)


def write_output(
    pool: Pool,
    target: Target,
    facts: Mapping[str, object],
    merge: Merge,
    *,
    command: str | None = None,
    tell: Tell = lambda line: None,
) -> dict:
    """Write what becomes of a base, or a vector, and return the report; see `unlearn`."""
    plan, output = make_plan(pool, target), target.output
    checksums = begin(pool, target, tell)
    unknown = defaultdict(lambda: "0" * 64)
    longest = header_metadata(make_report(pool, target, facts, unknown, Counts(), [], command))
    spare = 0 if target.folder else len(longest["negmerge"]) + SPARE
    with working(output) as content:
        with (
            Shards(plan, list(plan.files), content, output, FORMAT, spare) as shards,
            pool.vectors.workers,
        ):
            merged = merge(shards.step(target.coefficient), plan.merged_in(plan.files))
            counts = shards.run(pool.base, merged)
            report = make_report(pool, target, facts, checksums.known(), counts, [], command, tell)
            if not target.folder:
                shards.describe(header_metadata(report))
        if target.folder:
            complete(content, pool, target, plan, report)
        publish(content if target.folder else content / next(iter(plan.files)), output)
    return report


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
    # Tied tensors lie in one file.
    together = {name: group for group in pool.ties for name in group}

    def size(group: Sequence[str]) -> int:
        return sum(tensors[name].bytes for name in group)

    stem = folder.stem(base)
    # open_clip reads no shards.
    is_whole = target.folder is None or stem.startswith("open_clip")
    try:
        shards = split_state_dict_into_shards_factory(
            {name: together.get(name, (name,)) for name in tensors},
            get_storage_size=size,
            get_storage_id=lambda group: group,
            filename_pattern=f"{stem}{{suffix}}.safetensors",
            max_shard_size=size(list(tensors)) if is_whole else target.shard_size,
        )
    except ValueError:
        raise UserError(
            f"the size {target.shard_size!r} of a shard is not one such as 5GB or 500MB"
        ) from None
    tied = {group[0]: list(group) for group in pool.ties}
    merged = {name: tied.get(name, [name]) for name in vectors.shapes}
    return Plan(tensors, shards.filename_to_tensors, merged)


def begin(pool: Pool, target: Target, tell: Tell) -> Checksums:
    """Check that the output may be written, tell the notes, and return checksums that follow."""
    files = [path for state in pool.states for path in state.files]
    folder.require_replaceable(target.output, target.force, files)
    if target.folder and isinstance(pool.base, GgufFile):
        # It is written at the end, but one that cannot be read ends the run before hours of work.
        _ = pool.base.tokenizer
    for line in pool.notes:
        tell(line)
    checksums = Checksums(pool.states, pool.vectors.workers.threads)
    pool.vectors.done = checksums.follow
    return checksums


def make_report(
    pool: Pool,
    target: Target,
    facts: Mapping[str, object],
    known: Mapping[Path, str],
    counts: Counts,
    lines: Sequence[str] = (),
    command: str | None = None,
    tell: Tell = lambda line: None,
) -> dict:
    """Tell what the user ought to know of the numbers, and return the report; see `unlearn`."""
    lost = counts.kept - counts.moved
    if not counts.kept:
        lines = [f"{target.output}: the merged vector is zero, so nothing changes", *lines]
    elif lost and target.coefficient != 0:
        rounded = (
            f"{target.output}: {lost:,} of {counts.kept:,} changes "
            f"({100 * lost / counts.kept:.2f} %) are lost to rounding, which gives the base's "
            "number; --dtype float32 keeps more of them"
        )
        lines = [rounded, *lines]
    for line in lines:
        tell(line)
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
        "lost_to_rounding": lost,
        "matched": pool.chosen,
        "notes": [*pool.notes, *lines],
        "command": command,
    }


def complete(content: Path, pool: Pool, target: Target, plan: Plan, report: Mapping) -> None:
    """Write all that a folder holds beside its weights."""
    folder.copy_companions(target.folder, content)
    if isinstance(pool.base, GgufFile):
        pool.base.write_companions(content)
    folder.set_config(content, target.dtype, bool(pool.parted))
    if len(plan.files) > 1:
        places = {name: file for file, names in plan.files.items() for name in names}
        index = {
            "metadata": {"total_size": sum(map(plan.bytes, plan.files))},
            "weight_map": dict(sorted(places.items())),
        }
        write_json(content / f"{folder.stem(pool.base)}.safetensors.index.json", index)
    write_json(content / "negmerge.json", report)
    folder.write_card(content, report, target.folder)


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
