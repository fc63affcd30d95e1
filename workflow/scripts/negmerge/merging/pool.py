"""A pool of checkpoints, of task vectors or of adapters, checked and opened for a merge."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from negmerge.checkpoints import StoredState, open_state
from negmerge.checkpoints.sameness import same_state, same_tensor, tied
from negmerge.checks import require_same_tensors
from negmerge.errors import UserError
from negmerge.merging.alignment import Aligned, Expected, align
from negmerge.merging.blocks import Delta, Stored, Vectors
from negmerge.merging.choice import Choice, listed
from negmerge.merging.dtypes import merged_dtypes
from negmerge.merging.workers import Workers
from negmerge.states import shapes
from negmerge.vectors import may_change

Place = str | Path | StoredState


@dataclass
class Pool:
    """What is merged.

    Attributes:
        vectors: the vectors, for a merge.
        names: how the report calls the members, in the order of the merge: a hub id, or the last
            part of a path.
        members: the states, seen with the base's names, each with its `files`, in the order of the
            merge.
        base: what they were fine-tuned from; None where they are vectors themselves.
        ties: groups of the base's tensors that hold the same numbers in the base and in each
            member; the first of each is merged, for all.
        parted: groups that hold the same numbers in the base, but not in some member.
        chosen: what each expression of the choice fits.
        notes: what the user ought to know, a line each.
    """

    vectors: Vectors
    names: list[str]
    members: Sequence[StoredState]
    base: StoredState | None
    ties: list[tuple[str, ...]]
    parted: list[tuple[str, ...]]
    chosen: dict[str, list[str]]
    notes: list[str]

    @property
    def states(self) -> list[StoredState]:
        """The base, if there is one, and the members."""
        return list(self.members) if self.base is None else [self.base, *self.members]


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
    called = [short_name(member) for member in members]
    states = [_open(member, key) for member in members]
    if base is None:
        return _of_vectors(called, states, choice, block_numbers, workers)
    origin = _open(base, key)
    notes = _twice(origin, states)
    named = {name for state in (origin, *states) for name in state.names}
    chosen = choice.matches(named)
    notes += [f"{option} fits {listed(names)}" for option, names in chosen.items()]
    names = [
        name
        for name in origin.names
        if may_change(name, origin.shape(name), origin.dtype(name)) and choice.takes(name)
    ]
    groups = tied(origin, names)
    expected = Expected(origin, names, groups, choice, vocabulary == "base")
    aligned = [align(state, expected) for state in states]
    notes += [note for one in aligned for note in one.notes]
    parted = [group for group in groups if not all(_is_tied(one, group) for one in aligned)]
    ties = [group for group in groups if group not in parted]
    led = {name for group in ties for name in group[1:]}
    merged = [name for name in names if name not in led]
    kinds = [{name: state.dtype(name) for name in merged} for state in (*aligned, origin)]
    vectors = Vectors(
        [Stored(one) for one in aligned],
        {name: origin.shape(name) for name in merged},
        merged_dtypes(kinds, [state.path for state in (*aligned, origin)]),
        block_numbers,
        workers,
        origin,
    )
    return Pool(vectors, called, aligned, origin, ties, parted, chosen, notes)


def open_vector(base: Place, vector: Place, *, key: str | None = None, threads: int = 1) -> Pool:
    """Open a vector that is subtracted from a base as it is, as a pool of one.

    Tensors that it lacks stay the base's, and those that are tied to one of its own change with it.

    Raises:
        UserError: a file that is missing or foreign, or a tensor that does not fit.
    """
    origin, state = _open(base, key), _open(vector, key)
    names = [n for n in origin.names if may_change(n, origin.shape(n), origin.dtype(n))]
    held = set(state.names)
    present = [name for name in names if name in held]
    found = {name: origin.shape(name) for name in present}
    require_same_tensors(found, shapes(state), state.path)
    ties = [
        tuple(sorted(group, key=lambda name: name not in held))
        for group in tied(origin, names)
        if len(held.intersection(group)) == 1
    ]
    led = {name for group in ties for name in group[1:]}
    lacking = [name for name in names if name not in held | led]
    notes = [f"{state.path}: lacks {listed(lacking)}; they stay the base's"] if lacking else []
    kinds = [{name: one.dtype(name) for name in present} for one in (state, origin)]
    vectors = Vectors(
        [Delta(state)],
        found,
        merged_dtypes(kinds, [state.path, origin.path]),
        workers=Workers(threads),
        base=origin,
    )
    return Pool(vectors, [short_name(vector)], [state], origin, ties, [], {}, notes)


def short_name(place: Place) -> str:
    """Return what a report calls a model: the id of the hub, or the last part of its path."""
    path = place.path if isinstance(place, StoredState) else place
    is_local = isinstance(path, Path) or Path(path).exists() or path.count("/") != 1
    return Path(path).absolute().name if is_local else path


def _open(place: Place, key: str | None) -> StoredState:
    return place if isinstance(place, StoredState) else open_state(place, key)


def _of_vectors(
    called: list[str],
    states: list[StoredState],
    choice: Choice,
    block_numbers: int | None,
    workers: Workers | None,
) -> Pool:
    """Make a pool of task vectors, which have the same tensors."""
    for state in states:
        require_same_tensors(shapes(states[0]), shapes(state), state.path)
    names = [name for name in states[0].names if choice.takes(name)]
    kinds = [{name: state.dtype(name) for name in names} for state in states]
    vectors = Vectors(
        [Stored(state) for state in states],
        {name: states[0].shape(name) for name in names},
        merged_dtypes(kinds, [state.path for state in states]),
        block_numbers,
        workers,
    )
    return Pool(vectors, called, states, None, [], [], choice.matches(states[0].names), [])


def _twice(base: StoredState, states: Sequence[StoredState]) -> list[str]:
    """Return a note for each two members that are one.

    Raises:
        UserError: a member is the base.
    """
    notes = []
    for number, state in enumerate(states):
        if _is_same(base, state):
            raise UserError(f"{state.path}: is the base itself, which is no member of its pool")
        for other in states[:number]:
            if _is_same(other, state):
                notes.append(f"{state.path}: the same weights as {other.path}; they count twice")
    return notes


def _is_same(one: StoredState, other: StoredState) -> bool:
    return one.files == other.files or same_state(one, other)


def _is_tied(state: Aligned, group: Sequence[str]) -> bool:
    return all(
        state.own[name] == state.own[group[0]] or same_tensor(state, group[0], state, name)
        for name in group[1:]
    )
