"""The members of a pool, opened as what they are."""

from filecmp import cmp
from pathlib import Path

from negmerge.adapters import Adapter, is_adapter, open_adapter
from negmerge.checkpoints.hub import locate
from negmerge.checkpoints.opening import open_state
from negmerge.checkpoints.sameness import same_state
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError
from negmerge.merging.alignment import Aligned, Expected, align
from negmerge.merging.choice import Choice

Place = str | Path | StoredState


class Members:
    """The members of a pool, opened one after the other.

    Attributes:
        seen: the names of all tensors that were met.
    """

    def __init__(self, base: StoredState, choice: Choice, vocabulary: str | None, key: str | None):
        self._base, self._choice, self._vocabulary, self._key = base, choice, vocabulary, key
        self._opened: list[StoredState | Adapter] = []
        self.seen = set(base.names)

    def add(self, place: Place) -> None:
        """Open a member.

        Raises:
            UserError: it cannot be read, is an adapter that does not fit, or is the base.
        """
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
    """Open a checkpoint or vector, if it is not open already.

    Raises:
        UserError: as `open_state`, or it holds no tensors.
    """
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
