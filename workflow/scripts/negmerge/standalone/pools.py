"""Pools of others: checkpoints, task vectors and adapters, checked and opened for a merge."""

from collections.abc import Sequence
from dataclasses import replace
from filecmp import cmp
from pathlib import Path

import torch

from negmerge.adapters import Adapter, is_adapter, open_adapter
from negmerge.checkpoints.hub import locate
from negmerge.checkpoints.opening import open_state
from negmerge.checkpoints.sameness import same_state, same_tensor, tied
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError
from negmerge.merging.blocks import Finetuned, Vectors, Workers
from negmerge.merging.engine import choose, merge_pool
from negmerge.merging.pool import Pool, in_file_order, pool_of, stored_dtypes
from negmerge.models.devices import find_device
from negmerge.settings.checks import Value
from negmerge.standalone.alignment import Aligned, Choice, Expected, align, listed
from negmerge.vectors import may_change

Place = str | Path | StoredState


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
) -> Pool:
    """Open a pool, after a check of what its files say of their tensors.

    Args:
        base: the checkpoint before fine-tuning; None where the members are task vectors.
        members: checkpoints, or vectors; anything that `open_state` opens, or opened already.
        include: regular expressions; only tensors whose name one of them fits take part.
        exclude: regular expressions; tensors whose name one of them fits do not.
        vocabulary: `base` takes the base's rows of embeddings with more or fewer rows.
        key: where in a training checkpoint the weights lie.
        block_numbers: see `Vectors`.
        workers: see `Vectors`.

    Raises:
        UserError: a file that is missing or foreign, or a tensor that does not fit.
    """
    choice = Choice(include, exclude)
    if base is None:
        return _of_vectors(members, choice, key, block_numbers, workers)
    origin = open_place(base, key)
    opened = Members(origin, choice, vocabulary, key)
    for member in members:
        opened.add(member)
    chosen = choice.matches(opened.seen)
    names = [name for name in changeable(origin) if choice.takes(name)]
    groups = opened.led_by_adapters(tied(origin, names))
    aligned = opened.aligned(Expected(origin, names, groups, choice, vocabulary == "base"))
    ties = [group for group in groups if all(_is_tied(one, group) for one in aligned)]
    led = {name for group in ties for name in group[1:]}
    merged = in_file_order(origin, [name for name in names if name not in led])
    stored = [origin, *(one for one in aligned if isinstance(one, StoredState))]
    vectors = Vectors(
        [Finetuned(one) if isinstance(one, StoredState) else one for one in aligned],
        {name: origin.shape(name) for name in merged},
        stored_dtypes(stored, merged),
        block_numbers,
        workers,
        origin,
    )
    parted = [group for group in groups if group not in ties]
    notes = [
        *opened.notes(),
        *(f"{option} fits {listed(fitting)}" for option, fitting in chosen.items()),
        *(note for one in aligned for note in one.notes),
        *(f"{listed(group)}: tied in the base, but in the pool no longer" for group in parted),
    ]
    called = [short_name(member) for member in members]
    return Pool(vectors, called, aligned, origin, ties, parted, chosen, notes)


def changeable(base: StoredState) -> list[str]:
    """Return the tensors of a base that a vector of it may change."""
    return [n for n in base.names if may_change(n, base.shape(n), base.dtype(n))]


def _of_vectors(
    places: Sequence[Place],
    choice: Choice,
    key: str | None,
    block_numbers: int | None,
    workers: Workers | None,
) -> Pool:
    """Make a pool of task vectors, which have the same tensors."""
    for place in places:
        if not isinstance(place, StoredState) and is_adapter(locate(place)):
            raise UserError(f"{place}: is an adapter, which is merged with its base")
    states = [open_place(place, key) for place in places]
    return replace(
        pool_of(states, choice.takes, block_numbers, workers),
        names=[short_name(place) for place in places],
        chosen=choice.matches(states[0].names),
        notes=notes_of(*states),
    )


def _is_tied(member: Aligned | Adapter, group: Sequence[str]) -> bool:
    """Whether a member changes all of a group of tied tensors as it changes the first."""
    if isinstance(member, Adapter):
        # PEFT adds what it changes of one to the weight that all share.
        return not set(group[1:]).intersection(member.names)
    return all(
        member.own[name] == member.own[group[0]] or same_tensor(member, group[0], member, name)
        for name in group[1:]
    )


class Members:
    """The members of a pool, opened one after the other."""

    def __init__(self, base: StoredState, choice: Choice, vocabulary: str | None, key: str | None):
        self._base, self._choice, self._vocabulary, self._key = base, choice, vocabulary, key
        self._opened: list[StoredState | Adapter] = []
        self.seen = set(base.names)  # the names of all tensors that were met

    def add(self, place: Place) -> None:
        """Open a member; an adapter that does not fit, or the base itself, is an error."""
        found = place if isinstance(place, StoredState) else locate(place)
        if isinstance(found, Path) and is_adapter(found):
            adapter = open_adapter(
                found, self._base, wanted=self._takes, vocabulary=self._vocabulary
            )
            self._opened.append(adapter)
            return
        state = open_place(found, self._key)
        if _is_same(self._base, state):
            raise UserError(f"{state.path}: is the base itself, which is no member of its pool")
        self.seen |= set(state.names)
        self._opened.append(state)

    def led_by_adapters(self, groups: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        """Return groups of tied tensors, each with those first that adapters change."""
        changed = {name for one in self._opened if isinstance(one, Adapter) for name in one.names}
        return [tuple(sorted(group, key=lambda name: name not in changed)) for group in groups]

    def aligned(self, expected: Expected) -> list[Aligned | Adapter]:
        """Return the members, checkpoints as they fit the base."""
        return [one if isinstance(one, Adapter) else align(one, expected) for one in self._opened]

    def notes(self) -> list[str]:
        """Return what was done to open checkpoints, and which members are one."""
        states = [one for one in self._opened if isinstance(one, StoredState)]
        return notes_of(self._base, *states) + [
            f"{one.files[-1]}: the same weights as {other.files[-1]}; they count twice"
            for number, one in enumerate(self._opened)
            for other in self._opened[:number]
            if _is_same(one, other)
        ]

    def _takes(self, name: str) -> bool:
        self.seen.add(name)
        return self._choice.takes(name)


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


def notes_of(*states: StoredState) -> list[str]:
    """Return what was done to open states."""
    return [note for state in states for note in state.notes]


def _is_same(one: StoredState | Adapter, other: StoredState | Adapter) -> bool:
    if one.files == other.files:
        return True
    if isinstance(one, Adapter) != isinstance(other, Adapter):
        return False
    if isinstance(one, Adapter):
        return len(one.files) == len(other.files) and all(
            cmp(file, copy, shallow=False)
            for file, copy in zip(one.files, other.files, strict=True)
        )
    return same_state(one, other)
