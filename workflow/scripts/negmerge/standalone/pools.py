"""Pools of others: checkpoints, task vectors and adapters, checked and opened for a merge."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import torch
from tqdm import tqdm

from negmerge.adapters.reading import Adapter, is_adapter, open_adapter
from negmerge.checkpoints.hub import listed, locate
from negmerge.checkpoints.opening import open_state
from negmerge.checkpoints.states import StoredState
from negmerge.errors import UserError
from negmerge.merging.blocks import Finetuned, Vectors, Workers
from negmerge.merging.engine import choose, merge_pool
from negmerge.merging.pool import Pool, in_file_order, pool_of, stored_dtypes
from negmerge.models.devices import find_device
from negmerge.settings.checks import Value
from negmerge.standalone.alignment import (
    Aligned,
    Patterns,
    align,
    changeable,
    same_state,
    same_tensor,
    tied,
)

Place = str | Path | StoredState


def merge_files(
    method: str,
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    base: str | Path | None = None,
    key: str | None = None,
    progress: bool = False,
    threads: int | None = None,
    checksums: bool = True,
    device: str | torch.device = "cpu",
    block_numbers: int | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    vocabulary: str | None = None,
    **options: Value,
) -> dict:
    """Merge safetensors files, block by block, into a new file.

    Args:
        method: a name in `METHODS`.
        paths: task vectors, or checkpoints where `base` is given; each as `open_state` reads them.
        output: the file to write, at once or not at all.
        base: the checkpoint before fine-tuning; its buffers (`vectors.in_vector`) stay out.
        key: as in `open_state`, for all of them.
        progress: show a bar on standard error.
        threads: how many blocks are worked on at a time, on a GPU four at least; None for the
            processors that this process may use. No bit depends on it.
        checksums: note the BLAKE3 of each file, None otherwise.
        device: as in `merge`. A GPU needs memory for the blocks that are worked on, not for the
            model.
        block_numbers: as in `merge`.
        include: as in `unlearn`, and so are the next two.
        exclude: as `include`.
        vocabulary: as `include`.
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
    choose(method, options, paths)  # before anything is fetched from the hub
    pool = open_pool(
        base,
        paths,
        include=include,
        exclude=exclude,
        vocabulary=vocabulary,
        key=key,
        block_numbers=block_numbers,
        progress=progress,
        workers=Workers(threads, place),
    )
    return merge_pool(method, options, pool, output, progress=progress, checksums=checksums)


def open_pool(
    base: Place | None,
    members: Sequence[Place],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    vocabulary: str | None = None,
    key: str | None = None,
    block_numbers: int | None = None,
    workers: Workers | None = None,
    progress: bool = False,
) -> Pool:
    """Open models fine-tuned from a base, or task vectors without one, and check that they fit."""
    patterns = Patterns(include, exclude)
    labels = [short_name(member) for member in members]
    if base is None:
        for place in members:
            if not isinstance(place, StoredState) and is_adapter(locate(place)):
                raise UserError(f"{place}: is an adapter, which is merged with its base")
        states = [open_place(place, key) for place in members]
        return replace(
            pool_of(states, patterns.takes, block_numbers, workers),
            names=labels,
            chosen=patterns.matches(states[0].names),
            notes=[note for state in states for note in state.notes],
        )
    origin = open_place(base, key)
    met = set(origin.names)

    def takes(name: str) -> bool:
        met.add(name)
        return patterns.takes(name)

    # Adapters are put on the architecture of the base one by one.
    with tqdm(members, desc="open", unit=" models", delay=2, disable=not progress) as bar:
        opened = [_open_member(member, origin, takes, vocabulary, key) for member in bar]
    states = [member for member in opened if isinstance(member, StoredState)]
    matched = patterns.matches(met.union(*(state.names for state in states)))
    names = [name for name in changeable(origin) if patterns.takes(name)]
    # Of tensors that are tied in the base, the first is the one that adapters change.
    changed = {name for member in opened if isinstance(member, Adapter) for name in member.names}
    groups = [
        tuple(sorted(group, key=lambda name: name not in changed)) for group in tied(origin, names)
    ]
    aligned = [
        align(member, origin, names, groups, patterns, cuts=vocabulary == "base")
        if isinstance(member, StoredState)
        else member
        for member in opened
    ]
    ties = [group for group in groups if all(_is_tied(member, group) for member in aligned)]
    parted = [group for group in groups if group not in ties]
    led = {name for group in ties for name in group[1:]}
    merged = in_file_order(origin, [name for name in names if name not in led])
    vectors = Vectors(
        [Finetuned(m) if isinstance(m, StoredState) else m for m in aligned],
        {name: origin.shape(name) for name in merged},
        stored_dtypes([origin, *(s for s in aligned if isinstance(s, StoredState))], merged),
        block_numbers,
        workers,
        origin,
    )
    notes = [
        *(note for state in (origin, *states) for note in state.notes),
        *(
            f"{member.files[-1]}: the same weights as {other.files[-1]}; they count twice"
            for other, member in combinations(opened, 2)
            if _is_same(member, other)
        ),
        *(f"{option} fits {listed(fitting)}" for option, fitting in matched.items()),
        *(note for member in aligned for note in member.notes),
        *(f"{listed(group)}: tied in the base, but in the pool no longer" for group in parted),
    ]
    return Pool(vectors, labels, aligned, origin, ties, parted, matched, notes)


def _open_member(
    place: Place,
    base: StoredState,
    takes: Callable[[str], bool],
    vocabulary: str | None,
    key: str | None,
) -> StoredState | Adapter:
    """Open a member of a pool; the base itself is an error, as is an adapter that does not fit."""
    if not isinstance(place, StoredState):
        place = locate(place)
        if is_adapter(place):
            return open_adapter(place, base, wanted=takes, vocabulary=vocabulary)
    state = open_place(place, key)
    if _is_same(base, state):
        raise UserError(f"{state.path}: is the base itself, which is no member of its pool")
    return state


def _is_tied(member: Aligned | Adapter, group: Sequence[str]) -> bool:
    """Whether a member changes all of a group of tied tensors as it changes the first."""
    if isinstance(member, Adapter):
        # PEFT adds what it changes of one to the weight that all share.
        return not set(group[1:]).intersection(member.names)
    return all(
        member.own[name] == member.own[group[0]] or same_tensor(member, group[0], member, name)
        for name in group[1:]
    )


def short_name(place: Place) -> str:
    """Return what a report calls a model: the id of the hub, or the last part of its path."""
    path = place.path if isinstance(place, StoredState) else place
    is_local = isinstance(path, Path) or Path(path).exists() or path.count("/") != 1
    return Path(path).absolute().name if is_local else path


def open_place(place: Place, key: str | None) -> StoredState:
    """Open a checkpoint or vector, if it is not open already; one without tensors is an error."""
    state = place if isinstance(place, StoredState) else open_state(place, key)
    if not state.names:
        raise UserError(
            f"{state.path}: holds no tensors, expected weights; a point of a study's pool has none "
            "if its fine-tuning diverged"
        )
    return state


def _is_same(member: StoredState | Adapter, other: StoredState | Adapter) -> bool:
    if isinstance(member, StoredState) and isinstance(other, StoredState):
        return same_state(member, other)
    return member.files == other.files
