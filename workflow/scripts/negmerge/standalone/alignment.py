"""Which tensors take part and which are the same, and a checkpoint seen as its base is."""

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.hub import listed
from negmerge.checkpoints.states import StoredState
from negmerge.errors import UserError
from negmerge.vectors import may_change, widen

# transformers 5 leaves out this beginning of the names of a CLIP vision model, 4 does not.
PREFIX = "vision_model."
EMBEDDING = re.compile(
    r"(^|\.)(embed_tokens|wte|word_embeddings|tok_embeddings|token_embedding|embed_in|shared|"
    r"embeddings)\.weight$"
)


class Patterns:
    """Regular expressions that are searched in the names of tensors.

    A tensor takes part if one of `include` fits, or there is none, and none of `exclude` fits.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()):
        self._include = [_compiled("--include", text) for text in include]
        self._exclude = [_compiled("--exclude", text) for text in exclude]

    def takes(self, name: str) -> bool:
        """Whether a tensor takes part."""
        wanted = not self._include or any(pattern.search(name) for pattern in self._include)
        return wanted and not any(pattern.search(name) for pattern in self._exclude)

    def matches(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Return what each expression fits, as `--include RE` -> names; nothing is an error."""
        names, matched = sorted(names), {}
        options = (("--include", self._include), ("--exclude", self._exclude))
        for option, pattern in ((o, pattern) for o, patterns in options for pattern in patterns):
            fitting = [name for name in names if pattern.search(name)]
            if not fitting:
                near = difflib.get_close_matches(pattern.pattern, names, n=3, cutoff=0)
                raise UserError(
                    f"{option} {pattern.pattern!r} matches no tensor; the nearest names: "
                    f"{', '.join(near) or 'none'}"
                )
            matched[f"{option} {pattern.pattern}"] = fitting
        return matched


def _compiled(option: str, text: str) -> re.Pattern:
    try:
        return re.compile(text)
    except re.error as error:
        raise UserError(f"{option} {text!r} is not a regular expression: {error}") from error


@dataclass
class Aligned(StoredState):
    """A checkpoint with the base's names and shapes."""

    file: StoredState
    base: StoredState
    own: Mapping[str, str]  # the base's name -> the checkpoint's
    notes: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.path, self.files = self.file.path, self.file.files
        self.names, self.metadata = sorted(self.own), self.file.metadata

    def shape(self, name: str) -> tuple[int, ...]:
        return self.base.shape(name)

    def dtype(self, name: str) -> torch.dtype:
        return self.file.dtype(self.own[name])

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """See `StoredState`; rows that the checkpoint lacks are the base's."""
        own = self.own[name]
        end = min(max(math.prod(self.file.shape(own)), start), stop)
        numbers = self.file.numbers(own, start, end)
        if end == stop:
            return numbers
        return torch.cat([widen(numbers), widen(self.base.numbers(name, end, stop))])

    def place(self, name: str) -> tuple[Path, int] | None:
        return self.file.place(self.own[name])


def align(
    file: StoredState,
    base: StoredState,
    names: Sequence[str],
    ties: Iterable[Sequence[str]],
    patterns: Patterns,
    *,
    cuts: bool = False,
) -> Aligned:
    """See a checkpoint with the names and shapes of its base.

    `names` are the base's tensors that take part, `ties` groups of them with the same numbers in
    the base. A vocabulary of another size `cuts` to the base's rows, or is an error.
    """
    own, notes = _renamed(file, base)
    for group in ties:
        present = [name for name in group if name in own]
        own |= {name: own[present[0]] for name in group if present and name not in own}
    known = set(base.names)
    stored = [own[name] for name in own if name in known]
    # Matrices that the base does not store, but which are tied to one that it does.
    twins = [
        name
        for name in sorted(set(own) - known)
        if len(file.shape(own[name])) > 1
        and any(same_tensor(file, own[name], file, other) for other in stored)
    ]
    if twins:
        notes.append(f"{file.path}: tied to another tensor, left out: {listed(twins)}")
    extra = [
        name
        for name in own
        if name not in known
        and name not in twins
        and patterns.takes(name)
        and may_change(name, file.shape(own[name]), file.dtype(own[name]))
    ]
    notes += _compare(file, own, base, names, extra, cuts)
    for name in names:
        if not file.is_float(own[name]):
            raise UserError(
                f"{file.path}: tensor {name!r} and the base's are not both floating point"
            )
    return Aligned(file, base, {name: own[name] for name in names}, notes)


def changeable(state: StoredState) -> list[str]:
    """Return the tensors of a state that a vector of it may change."""
    return [n for n in state.names if may_change(n, state.shape(n), state.dtype(n))]


def _renamed(file: StoredState, base: StoredState) -> tuple[dict[str, str], list[str]]:
    """Return the checkpoint's tensors by the base's names, and what the user should know of it."""
    theirs, ours = set(changeable(file)), set(changeable(base))
    if theirs != ours and {PREFIX + name for name in theirs} == ours:
        note = f"{file.path}: its names lack {PREFIX!r}, with which the base's begin"
        return {PREFIX + name: name for name in file.names}, [note]
    if theirs != ours and {PREFIX + name for name in ours} == theirs:
        note = f"{file.path}: its names begin with {PREFIX!r}, which the base's lack"
        return {name.removeprefix(PREFIX): name for name in file.names}, [note]
    return {name: name for name in file.names}, []


def _compare(
    file: StoredState,
    own: Mapping[str, str],
    base: StoredState,
    names: Sequence[str],
    extra: Sequence[str],
    cuts: bool,
) -> list[str]:
    """Check that the tensors that take part fit the base's, but for a vocabulary that is cut."""
    missing = [name for name in names if name not in own]
    shapes = {name: (file.shape(own[name]), base.shape(name)) for name in names if name in own}
    odd = {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}
    # Tensors with a row for each token, of a vocabulary of another size.
    rows = {
        name: (theirs[0], ours[0])
        for name, (theirs, ours) in odd.items()
        if theirs and ours and theirs[1:] == ours[1:]
    }
    sizes = {size for name, size in rows.items() if EMBEDDING.search(name)}
    resized = [name for name, size in rows.items() if size in sizes]
    wrong = [*missing, *extra, *(name for name in odd if name not in resized)]
    if not wrong and resized and cuts:
        theirs, ours = rows[resized[0]]
        what = (
            f"its rows from {ours:,} on are left out"
            if theirs > ours
            else f"the rows from {theirs:,} on, which it lacks, count as unchanged"
        )
        sizes = f"a vocabulary of {theirs:,} rows, the base has {ours:,}"
        return [f"{file.path}: {sizes}; {what}: {listed(resized)}"]
    if not wrong and not resized:
        return []
    name = (wrong or resized)[0]
    # Where little fits, the model is another one.
    fits = len(base.names) - len(missing) - len(odd)
    hint = f"; {_exclude_option(wrong)} leaves it out" if fits > len(wrong) else ""
    if name in odd:
        theirs, ours = odd[name]
        what = f"has shape {list(theirs)}, expected {list(ours)}"
        if not wrong:
            hint = "; --vocabulary base takes the base's rows"
        elif len(ours) == 2 and theirs == ours[::-1]:
            hint = ": it is stored transposed; store it as the base's"
    elif missing:
        what = f"is missing ({len(missing)} in all)"
    else:
        what = f"is not expected ({len(extra)} in all)"
    raise UserError(f"{file.path}: tensor {name!r} {what}{hint}")


def _exclude_option(names: Iterable[str]) -> str:
    """Return the option that leaves out tensors, by the modules in which they lie."""
    parts = {f"{name.rpartition('.')[0]}." if "." in name else f"{name}$" for name in names}
    patterns = sorted(re.escape(part).replace(r"\$", "$") for part in parts)
    pattern = patterns[0] if len(patterns) == 1 else f"({'|'.join(patterns)})"
    return f"--exclude '^{pattern}'"


SAMPLE = 1024
PART = 2**22


def same_tensor(state: StoredState, name: str, other: StoredState, other_name: str) -> bool:
    """Whether two tensors have one shape and dtype and the same bits."""
    if _kind(state, name) != _kind(other, other_name):
        return False
    size = math.prod(state.shape(name))
    steps = [0, min(SAMPLE, size), *range(PART, size, PART), size]
    return all(
        torch.equal(_bits(state, name, start, stop), _bits(other, other_name, start, stop))
        for start, stop in pairwise(steps)
        if start < stop
    )


def same_state(state: StoredState, other: StoredState) -> bool:
    """Whether two states have the same tensors, with the same bits."""
    # The beginnings come first, so that little is read of states that differ.
    begins = state.names == other.names and all(
        _kind(state, name) == _kind(other, name) and _begin(state, name) == _begin(other, name)
        for name in state.names
    )
    return begins and all(same_tensor(state, name, other, name) for name in state.names)


def tied(state: StoredState, names: Iterable[str]) -> list[tuple[str, ...]]:
    """Find groups of tensors that are stored twice, as tied weights are in some files.

    Those whose numbers are all equal tell nothing: many tensors begin as zeros or ones.
    """
    groups: dict[tuple, list[list[str]]] = {}
    for name in sorted(names):
        alike = groups.setdefault((_kind(state, name), _begin(state, name)), [])
        group = next((g for g in alike if same_tensor(state, g[0], state, name)), None)
        if group is None:
            alike.append([name])
        else:
            group.append(name)
    return sorted(
        tuple(group)
        for alike in groups.values()
        for group in alike
        if len(group) > 1 and not _constant(state, group[0])
    )


def _kind(state: StoredState, name: str) -> tuple[tuple[int, ...], torch.dtype]:
    return state.shape(name), state.dtype(name)


def _begin(state: StoredState, name: str) -> bytes:
    """Return the first bytes of a tensor."""
    stop = min(SAMPLE, math.prod(state.shape(name)))
    return _bits(state, name, 0, stop).numpy().tobytes()


def _bits(state: StoredState, name: str, start: int, stop: int) -> Tensor:
    numbers = state.numbers(name, start, stop)
    return numbers.view(torch.uint8) if len(numbers) else torch.empty(0, dtype=torch.uint8)


def _constant(state: StoredState, name: str) -> bool:
    size = math.prod(state.shape(name))
    parts = (state.numbers(name, at, min(at + PART, size)) for at in range(0, size, PART))
    first = state.numbers(name, 0, min(1, size))
    return all(bool((part == first).all()) for part in parts)
