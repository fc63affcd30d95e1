"""Which tensors take part, and a checkpoint seen with the names and shapes of its base."""

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.sameness import same_tensor
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError
from negmerge.vectors import may_change, widen

SHOWN = 8


class Choice:
    """Tensors chosen by regular expressions, which are searched in their names.

    One that `include` fits takes part, or any if it is empty; one that `exclude` fits does not.
    """

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = ()):
        self.include = [_compiled("--include", text) for text in include]
        self.exclude = [_compiled("--exclude", text) for text in exclude]

    def takes(self, name: str) -> bool:
        """Whether a tensor takes part."""
        wanted = not self.include or any(one.search(name) for one in self.include)
        return wanted and not any(one.search(name) for one in self.exclude)

    def matches(self, names: Iterable[str]) -> dict[str, list[str]]:
        """Return what each expression fits: `--include RE` or `--exclude RE` -> names.

        One that fits nothing is an error, with the names that look most like it.
        """
        names = sorted(names)
        found = {}
        for option, ones in (("--include", self.include), ("--exclude", self.exclude)):
            for one in ones:
                fitting = [name for name in names if one.search(name)]
                if not fitting:
                    near = _nearest(one, names)
                    raise UserError(f"{option} {one.pattern!r} matches no tensor; {near}")
                found[f"{option} {one.pattern}"] = fitting
        return found


def listed(names: Sequence[str]) -> str:
    """Return names for a line, the first of many."""
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown}, ... ({len(names)} in all)"


def excluding(names: Iterable[str]) -> str:
    """Return the option that leaves out tensors, by the modules in which they lie."""
    modules = sorted({name.rpartition(".")[0] or f"{name}$" for name in names})
    escaped = [re.escape(module).replace(r"\$", "$") for module in modules]
    pattern = escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
    ends = "" if pattern.endswith("$") else r"\."
    return f"--exclude '^{pattern}{ends}'"


def _compiled(option: str, text: str) -> re.Pattern:
    try:
        return re.compile(text)
    except re.error as error:
        raise UserError(f"{option} {text!r} is not a regular expression: {error}") from error


def _nearest(pattern: re.Pattern, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(pattern.pattern, names, n=3, cutoff=0)
    return f"the nearest names: {', '.join(close) or 'none'}"


# transformers 5 leaves out this beginning of the names of a CLIP vision model, 4 does not.
PREFIX = "vision_model."
EMBEDDING = re.compile(
    r"(^|\.)(embed_tokens|wte|word_embeddings|tok_embeddings|token_embedding|embed_in|shared|"
    r"embeddings)\.weight$"
)


@dataclass
class Expected:
    """What a checkpoint of the pool must hold."""

    base: StoredState  # the weights before fine-tuning
    names: list[str]  # its tensors that take part
    ties: list[tuple[str, ...]]  # groups of them that hold the same numbers in the base
    choice: Choice
    cut: bool = False  # whether a vocabulary of another size is cut to the base's rows


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
        """See `StoredState`."""
        return self.base.shape(name)

    def dtype(self, name: str) -> torch.dtype:
        """See `StoredState`."""
        return self.file.dtype(self.own[name])

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """See `StoredState`; rows that the checkpoint lacks are the base's."""
        own = self.own[name]
        end = min(max(math.prod(self.file.shape(own)), start), stop)
        found = self.file.numbers(own, start, end)
        if end == stop:
            return found
        return torch.cat([widen(found), widen(self.base.numbers(name, end, stop))])

    def place(self, name: str) -> tuple[Path, int] | None:
        """See `StoredState`."""
        return self.file.place(self.own[name])


def align(file: StoredState, expected: Expected) -> Aligned:
    """See a checkpoint with the base's names and shapes."""
    base, notes = expected.base, []
    own = _renamed(file, base, notes)
    for group in expected.ties:
        present = [name for name in group if name in own]
        own |= {name: own[present[0]] for name in group if present and name not in own}
    _leave_out_twins(file, own, expected, notes)
    found = _compare(file, own, expected)
    if found.is_resized and expected.cut:
        notes.append(found.cut())
    else:
        found.require_nothing()
    for name in expected.names:
        if not file.is_float(own[name]):
            raise UserError(
                f"{file.path}: tensor {name!r} and the base's are not both floating point"
            )
    return Aligned(file, base, {name: own[name] for name in expected.names}, notes)


def _renamed(file: StoredState, base: StoredState, notes: list[str]) -> dict[str, str]:
    """Return the checkpoint's tensors by the base's names."""
    theirs, ours = _trained(file), _trained(base)
    if theirs != ours and {PREFIX + name for name in theirs} == ours:
        notes.append(f"{file.path}: its names lack {PREFIX!r}, with which the base's begin")
        return {PREFIX + name: name for name in file.names}
    if theirs != ours and {PREFIX + name for name in ours} == theirs:
        notes.append(f"{file.path}: its names begin with {PREFIX!r}, which the base's lack")
        return {name.removeprefix(PREFIX): name for name in file.names}
    return {name: name for name in file.names}


def _trained(state: StoredState) -> set[str]:
    return {n for n in state.names if may_change(n, state.shape(n), state.dtype(n))}


def _leave_out_twins(
    file: StoredState, own: dict[str, str], expected: Expected, notes: list[str]
) -> None:
    """Leave out matrices that the base does not store, where they are tied to one that it does."""
    known = set(expected.base.names)
    twins = []
    for name in sorted(set(own) - known):
        shape = file.shape(own[name])
        if len(shape) > 1 and any(
            file.shape(other) == shape and same_tensor(file, own[name], file, other)
            for kept, other in own.items()
            if kept in known
        ):
            twins.append(name)
    for name in twins:
        del own[name]
    if twins:
        notes.append(f"{file.path}: tied to another tensor, left out: {listed(twins)}")


@dataclass
class _Comparison:
    """What does not fit: names of tensors."""

    file: StoredState
    base: StoredState
    own: Mapping[str, str]
    missing: list[str]
    extra: list[str]
    odd: list[str]
    resized: list[str]

    @property
    def is_resized(self) -> bool:
        """Whether nothing but the size of the vocabulary differs."""
        return bool(self.resized) and self.resized == self.odd and not (self.missing or self.extra)

    def cut(self) -> str:
        """Return what is done about a vocabulary of another size."""
        theirs, ours = self._shapes(self.resized[0])
        what = (
            f"its rows from {ours[0]:,} on are left out"
            if theirs > ours
            else f"the rows from {theirs[0]:,} on, which it lacks, count as unchanged"
        )
        sizes = f"a vocabulary of {theirs[0]:,} rows, the base has {ours[0]:,}"
        return f"{self.file.path}: {sizes}; {what}: {listed(self.resized)}"

    def require_nothing(self) -> None:
        """Check that all fits; the error is the first thing that does not, and what to do."""
        others = [name for name in self.odd if name not in self.resized]
        wrong = [*self.missing, *self.extra, *others]
        fits = len(self.base.names) - len(self.missing) - len(self.odd)
        # Where little fits, the model is another one.
        hint = f"; {excluding(wrong)} leaves it out" if wrong and fits > len(wrong) else ""
        if self.missing:
            what = f"{self.missing[0]!r} is missing ({len(self.missing)} in all){hint}"
        elif self.extra:
            what = f"{self.extra[0]!r} is not expected ({len(self.extra)} in all){hint}"
        elif others:
            what = self._shape(others[0], hint)
        elif self.resized:
            what = self._shape(self.resized[0], "; --vocabulary base takes the base's rows")
        else:
            return
        raise UserError(f"{self.file.path}: tensor {what}")

    def _shape(self, name: str, hint: str) -> str:
        theirs, ours = self._shapes(name)
        if len(ours) == 2 and theirs == ours[::-1]:
            hint = ": it is stored transposed; store it as the base's"
        return f"{name!r} has shape {list(theirs)}, expected {list(ours)}{hint}"

    def _shapes(self, name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return self.file.shape(self.own[name]), self.base.shape(name)


def _compare(file: StoredState, own: Mapping[str, str], expected: Expected) -> _Comparison:
    """Find what does not fit, among the tensors that take part."""
    base, known = expected.base, set(expected.base.names)

    def would_be_lost(name: str) -> bool:
        changes = may_change(name, file.shape(own[name]), file.dtype(own[name]))
        return changes and expected.choice.takes(name)

    def shapes(name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return file.shape(own[name]), base.shape(name)

    present = [name for name in expected.names if name in own]
    odd = [name for name in present if len(set(shapes(name))) > 1]
    # Tensors with a row for each token, of a vocabulary of another size.
    pairs = {name: shapes(name) for name in odd}
    alike = {n: (a[0], b[0]) for n, (a, b) in pairs.items() if a and b and a[1:] == b[1:]}
    sizes = {rows for name, rows in alike.items() if EMBEDDING.search(name)}
    return _Comparison(
        file,
        base,
        own,
        missing=[name for name in expected.names if name not in own],
        extra=[name for name in own if name not in known and would_be_lost(name)],
        odd=odd,
        resized=[name for name, rows in alike.items() if rows in sizes],
    )
