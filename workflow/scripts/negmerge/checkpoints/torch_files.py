"""Files of `torch.save` as states: nothing in them runs, and their tensors are mapped."""

import pickletools
import re
import zipfile
from _compat_pickle import IMPORT_MAPPING
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, TypeGuard

import torch
from torch import Tensor

from negmerge.checkpoints.stored import DTYPES, StoredState
from negmerge.errors import UserError, unknown

# What trainings note beside the weights, and torch's safe loader does not know. Classes that do
# nothing stand in for these, so that no code of theirs runs either.
NOTED = (
    "_codecs.encode",
    "argparse.Namespace",
    "datetime.datetime",
    "datetime.timedelta",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    *(f"numpy.dtypes.{kind}DType" for kind in ("Bool", "Float32", "Float64", "Int32", "Int64")),
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib._local.PosixPath",
)
# Wrappers of a module that put a word before all its names: DataParallel and torch.compile.
PREFIXES = ("module.", "_orig_mod.")
# How the state of a file that is no more than a state is called among others.
WHOLE = "."
# The state of an optimiser has tensors too, under such a name.
OPTIMISER = "optim"
# States lie at most this deep: a file that lies may hold itself.
DEPTH = 8


class StandIn:
    """An object without behaviour, which keeps the state that it is given."""

    def __init__(self, *ignored: object):
        pass

    def __new__(cls, *ignored: object) -> "StandIn":
        """Make one from any arguments."""
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Keep a state, if it is one of attributes."""
        if isinstance(state, dict):
            self.__dict__.update(state)


def stand_in(module: str, name: str) -> type[StandIn]:
    """Return a class that torch's safe loader takes for the one that a pickle names."""
    return type(name, (StandIn,), {"__module__": module})


def named_in(pickled: bytes, where: object) -> set[tuple[str, str]]:
    """Return the module and name of all classes and functions that a pickle names."""
    named = set()
    try:
        for operation, argument, _ in pickletools.genops(pickled):
            if operation.name == "GLOBAL":
                module, name = argument.split(" ")
                # torch writes the names that modules had in Python 2.
                named.add((IMPORT_MAPPING.get(module, module), name))
    except ValueError as error:
        reason = f"not a whole file of torch.save ({error}); fetch it again"
        raise UserError(f"{where}: {reason}") from error
    return named


def load(path: Path) -> object:
    """Load what a file holds: names, numbers and tensors, mapped if that can be."""
    mapped = zipfile.is_zipfile(path)
    if mapped:
        _require_archive(path)
    stand_ins = [stand_in(*name.rsplit(".", 1)) for name in NOTED]
    try:
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises many kinds for a file that is cut or lies
        _refuse(path, error)


def require_plain(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Check that tensors are arrays with numbers."""
    for name, tensor in tensors.items():
        kind = "without numbers" if tensor.is_meta else tensor.layout
        if tensor.is_quantized or kind != torch.strided:
            kind = "quantised" if tensor.is_quantized else kind
            raise UserError(f"{path}: tensor {name!r} is {kind}, expected a plain array")


def _require_archive(path: Path) -> None:
    """Check that a zip archive is one that torch can map."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    inside = {entry.filename.partition("/")[2] for entry in entries}
    if "data.pkl" not in inside:
        raise UserError(f"{path}: a zip archive, expected one written by torch.save")
    if "constants.pkl" in inside:
        raise UserError(
            f"{path}: a TorchScript archive, which holds code; if you trust it, save its weights: "
            f"torch.save(torch.jit.load({path.name!r}, 'cpu').state_dict(), 'state.pt')"
        )
    # torch would map packed numbers as if they were none.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise UserError(f"{path}: its numbers are packed; write it again by torch.save")


def _refuse(path: Path, error: Exception) -> NoReturn:
    """Raise what torch found wrong, in one line."""
    text = str(error)
    if found := re.search(r"GLOBAL ([\w.]+)", text):
        name = found[1]
        advice = (
            "`negmerge convert` reads the files of NegMerge's authors"
            if name.startswith("src.")
            else "save the model's state_dict() instead"
        )
        raise UserError(
            f"{path}: holds the object {name}, expected tensors by name; {advice}"
        ) from error
    first = re.split(r"\. |\n", text.strip())[0] or type(error).__name__
    raise UserError(f"{path}: not a whole file of torch.save ({first}); fetch it again") from error


def state_in(found: object, key: str | None, path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Find the state in what a file holds, and the lines that tell what was done to find it."""
    states = _states(found)
    if not states:
        raise UserError(f"{path}: holds no tensors by name, but a {type(found).__name__}")
    if key is not None and list(states) != [WHOLE]:
        if key not in states:
            raise UserError(f"{path}: {unknown('key', key, states)}")
        states = {key: states[key]}
    if len(states) > 1:
        sizes = [f"{place} ({len(_tensors(state))} tensors)" for place, state in states.items()]
        raise UserError(f"{path}: holds several states, choose one by --key: {', '.join(sizes)}")
    [(place, state)] = states.items()
    tensors = _tensors(state)
    rest = sorted(str(name) for name in state if name not in tensors)
    for name in rest:
        if _holds_tensors(state[name]) and not isinstance(state[name], Mapping):
            raise UserError(f"{path}: entry {name!r} holds several tensors, expected one")
    tensors, dropped = _without_prefixes(tensors)
    notes = [f"read from {place!r}"] * (place != WHOLE)
    notes += [f"dropped {dropped!r} from the names"] * bool(dropped)
    notes += [f"left out what is no tensor: {', '.join(rest)}"] * bool(rest)
    return tensors, [f"{path}: {'; '.join(notes)}"] if notes else []


def _states(found: object) -> dict[str, Mapping]:
    """Find the states that are held, each once, by their places."""
    held, seen = {}, set()
    waiting: list[tuple[tuple[str, ...], object]] = [((), found)]
    while waiting:
        place, mapping = waiting.pop(0)
        if not _is_by_name(mapping) or id(mapping) in seen or len(place) > DEPTH:
            continue
        seen.add(id(mapping))
        if _tensors(mapping):
            held["/".join(place) or WHOLE] = mapping
        waiting += [
            ((*place, name), inner)
            for name, inner in mapping.items()
            if not name.startswith(OPTIMISER)
        ]
    # Beside a state, single numbers are measures, and whole numbers those of a random generator.
    weighty = {place: one for place, one in held.items() if any(map(_is_weight, one.values()))}
    return weighty or held


def _is_by_name(found: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(found, Mapping) and all(isinstance(name, str) for name in found)


def _tensors(state: Mapping) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _is_weight(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 0


def _holds_tensors(value: object) -> bool:
    """Whether a value is a tensor, or holds one at any depth."""
    waiting, seen = [value], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, Tensor):
            return True
        if isinstance(one, Mapping | list | tuple | set) and id(one) not in seen:
            seen.add(id(one))
            waiting += one.values() if isinstance(one, Mapping) else one
    return False


def _without_prefixes(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Drop the prefixes that all names have; return them too."""
    dropped = ""
    while prefix := next((p for p in PREFIXES if all(n.startswith(p) for n in tensors)), ""):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        dropped += prefix
    return tensors, dropped


class TorchFile(StoredState):
    """A file of `torch.save`: a state, or a training checkpoint with one inside.

    Only names, numbers and tensors are read. The old format, from before torch 1.6, cannot be
    mapped: such a file is read whole.
    """

    def __init__(self, path: str | Path, key: str | None = None):
        self.path = Path(path)
        self.files = [self.path]
        self.metadata = {}
        self._tensors, self.notes = state_in(load(self.path), key, self.path)
        self.names = sorted(self._tensors)
        self._size = self.path.stat().st_size
        self._read: dict[str, Tensor] = {}
        require_plain(self.path, self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """See `StoredState`."""
        return tuple(self._tensors[name].shape)

    def dtype(self, name: str) -> torch.dtype:
        """See `StoredState`."""
        dtype = self._tensors[name].dtype
        if dtype not in DTYPES.values():
            raise UserError(
                f"{self.path}: tensor {name!r} has dtype {dtype}, which is not supported"
            )
        return dtype

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """See `StoredState`."""
        if name not in self._read:
            self._read[name] = self._readable(name)
        return _part(self._read[name], start, stop)

    def place(self, name: str) -> tuple[Path, int] | None:
        """See `StoredState`; torch does not tell."""
        return None

    def _readable(self, name: str) -> Tensor:
        """Return a tensor whose numbers may be read, flattened if they lie in their order."""
        self.dtype(name)
        # To touch a mapping beyond the end of its file would kill the process.
        if self.path.stat().st_size < self._size:
            raise UserError(f"{self.path}: tensor {name!r} ends too early; the file was cut")
        tensor = self._tensors[name].detach()
        return tensor.view(-1) if tensor.is_contiguous() else tensor


def _part(tensor: Tensor, start: int, stop: int) -> Tensor:
    """Return the numbers start..stop of a flattened tensor, and copy no others if it is strided."""
    if tensor.dim() == 1:
        return tensor[start:stop]
    if start == stop or tensor.is_contiguous():
        return tensor.reshape(-1)[start:stop] if start < stop else tensor.new_empty(0)
    row = tensor[0].numel()
    first, last = start // row, (stop - 1) // row
    if first == last:
        return _part(tensor[first], start - first * row, stop - first * row)
    pieces = (
        _part(tensor[first], start - first * row, row),
        tensor[first + 1 : last].reshape(-1),
        _part(tensor[last], 0, stop - last * row),
    )
    return torch.cat(pieces)
