"""A pool of checkpoints, of task vectors or of adapters, checked and opened for a merge."""

from collections.abc import Sequence
from dataclasses import dataclass

from negmerge.adapters import Adapter, is_adapter
from negmerge.checkpoints.checks import require_same_tensors
from negmerge.checkpoints.hub import locate
from negmerge.checkpoints.sameness import same_tensor, tied
from negmerge.checkpoints.states import shapes
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError
from negmerge.merging.alignment import Aligned, Expected
from negmerge.merging.blocks import Finetuned, Stored, Vectors
from negmerge.merging.choice import Choice, listed
from negmerge.merging.dtypes import stored_dtypes
from negmerge.merging.members import Members, Place, notes_of, open_place, short_name
from negmerge.merging.workers import Workers
from negmerge.vectors import may_change


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
    members: Sequence[StoredState | Adapter]
    base: StoredState | None
    ties: list[tuple[str, ...]]
    parted: list[tuple[str, ...]]
    chosen: dict[str, list[str]]
    notes: list[str]

    @property
    def states(self) -> list[StoredState | Adapter]:
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


def in_file_order(state: StoredState, names: Sequence[str]) -> list[str]:
    """Sort tensors by their places, so that files are read from the front to the end."""
    return sorted(names, key=lambda name: state.place(name) or (state.path, 0))


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
    for state in states:
        require_same_tensors(shapes(states[0]), shapes(state), state.path)
    names = in_file_order(states[0], [n for n in states[0].names if choice.takes(n)])
    vectors = Vectors(
        [Stored(state) for state in states],
        {name: states[0].shape(name) for name in names},
        stored_dtypes(states, names),
        block_numbers,
        workers,
    )
    called = [short_name(place) for place in places]
    chosen = choice.matches(states[0].names)
    return Pool(vectors, called, states, None, [], [], chosen, notes_of(*states))


def _is_tied(member: Aligned | Adapter, group: Sequence[str]) -> bool:
    """Whether a member changes all of a group of tied tensors as it changes the first."""
    if isinstance(member, Adapter):
        # PEFT adds what it changes of one to the weight that all share.
        return not set(group[1:]).intersection(member.names)
    return all(
        member.own[name] == member.own[group[0]] or same_tensor(member, group[0], member, name)
        for name in group[1:]
    )
