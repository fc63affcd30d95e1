"""Files of `torch.save` as states: nothing in them runs, and their tensors are mapped."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from negmerge.checkpoints.states import DTYPES, StoredState
from negmerge.errors import UserError, unknown

# Wrappers of a module that put a word before all its names: DataParallel and torch.compile.
PREFIXES = ("module.", "_orig_mod.")
# The place of the state in a file that is no more than a state.
WHOLE = "."
# The state of an optimiser has tensors too, under such a name.
OPTIMISER = "optim"
# States lie at most this deep: a file that lies may hold itself.
DEPTH = 8


class Stub:
    """An object without behaviour, which keeps the attributes that it is given."""

    def __new__(cls, *ignored: object) -> "Stub":  # noqa: D102
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


def stub_class(place: str) -> type[Stub]:
    """Return a class that torch's safe loader takes for `module.name`, which a pickle names."""
    module, _, name = place.rpartition(".")
    return type(name, (Stub,), {"__module__": module})


# What trainings note beside the weights, and torch's safe loader does not know.
NOTED = [
    stub_class(place)
    for place in (
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
]


def require_archive(path: str | Path) -> None:
    """Check that a zip archive is one of `torch.save` whose numbers can be mapped."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    inside = {entry.filename.partition("/")[2] for entry in entries}
    if "data.pkl" not in inside:
        raise UserError(f"{path}: a zip archive, expected one written by torch.save")
    if "constants.pkl" in inside:
        raise UserError(
            f"{path}: a TorchScript archive, which holds code; if you trust it, save its weights: "
            f"torch.save(torch.jit.load({Path(path).name!r}, 'cpu').state_dict(), 'state.pt')"
        )
    # torch would map packed numbers as if they were none.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise UserError(f"{path}: its numbers are packed; write it again by torch.save")


class TorchFile(StoredState):
    """A file of `torch.save`: a state, or a training checkpoint with one inside.

    Only names, numbers and tensors are read. The old format, from before torch 1.6, cannot be
    mapped: such a file is read whole. Tensors whose numbers do not lie in their order are copied.
    """

    def __init__(self, path: str | Path, key: str | None = None):
        self.path = Path(path)
        self.files = [self.path]
        self.metadata = {}
        self._tensors, self.notes = _find_state(_load(self.path), key, self.path)
        self.names = sorted(self._tensors)
        self._size = self.path.stat().st_size
        for name, tensor in self._tensors.items():
            kind = "without numbers" if tensor.is_meta else tensor.layout
            if tensor.is_quantized or kind != torch.strided:
                kind = "quantised" if tensor.is_quantized else kind
                raise UserError(f"{path}: tensor {name!r} is {kind}, expected a plain array")

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

    def _flattened(self, name: str) -> Tensor:
        self.dtype(name)
        # To touch a mapping beyond the end of its file would kill the process.
        if self.path.stat().st_size < self._size:
            raise UserError(f"{self.path}: tensor {name!r} ends too early; the file was cut")
        return self._tensors[name].detach().contiguous().view(-1)


def _load(path: Path) -> object:
    """Load what a file holds: names, numbers and tensors, mapped if that can be."""
    mapped = zipfile.is_zipfile(path)
    if mapped:
        require_archive(path)
    try:
        with torch.serialization.safe_globals(NOTED):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises many kinds for a file that is cut or lies
        _refuse(path, error)


def _refuse(path: Path, error: Exception) -> NoReturn:
    """Raise what torch found wrong, in one line."""
    text = str(error)
    if named := re.search(r"GLOBAL ([\w.]+)", text):
        advice = (
            "`negmerge convert` reads the files of NegMerge's authors"
            if named[1].startswith("src.")
            else "save the model's state_dict() instead"
        )
        raise UserError(
            f"{path}: holds the object {named[1]}, expected tensors by name; {advice}"
        ) from error
    first = re.split(r"\. |\n", text.strip())[0] or type(error).__name__
    raise UserError(f"{path}: not a whole file of torch.save ({first}); fetch it again") from error


def _find_state(
    content: object, key: str | None, path: Path
) -> tuple[dict[str, Tensor], list[str]]:
    """Find the state in what a file holds, and the lines that tell what was done to find it."""
    states: dict[str, Mapping] = {}
    for place, state in _states(content).items():
        if not any(state is other for other in states.values()):
            states[place] = state
    # Beside a state, single numbers are measures, and whole numbers those of a random generator.
    states = {p: s for p, s in states.items() if any(map(_is_weight, s.values()))} or states
    if not states:
        raise UserError(f"{path}: holds no tensors by name, but a {type(content).__name__}")
    if key is not None and list(states) != [WHOLE]:
        if key not in states:
            raise UserError(f"{path}: {unknown('key', key, states)}")
        states = {key: states[key]}
    if len(states) > 1:
        sizes = [f"{place} ({len(_tensors(state))} tensors)" for place, state in states.items()]
        raise UserError(f"{path}: holds several states, choose one by --key: {', '.join(sizes)}")
    [(place, state)] = states.items()
    tensors, dropped = _tensors(state), ""
    rest = sorted(name for name in state if name not in tensors)
    for name in rest:
        if isinstance(state[name], list | tuple | set) and any(
            isinstance(value, Tensor) for value in state[name]
        ):
            raise UserError(f"{path}: entry {name!r} holds several tensors, expected one")
    while prefix := next((p for p in PREFIXES if all(n.startswith(p) for n in tensors)), ""):
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        dropped += prefix
    notes = [f"read from {place!r}"] * (place != WHOLE)
    notes += [f"dropped {dropped!r} from the names"] * bool(dropped)
    notes += [f"left out what is no tensor: {', '.join(rest)}"] * bool(rest)
    return tensors, [f"{path}: {'; '.join(notes)}"] if notes else []


def _states(content: object, *places: str) -> dict[str, Mapping[str, object]]:
    """Find the mappings with tensors in what a file holds, by their places, such as `model/ema`."""
    is_mapping = isinstance(content, Mapping) and all(isinstance(name, str) for name in content)
    if not is_mapping or len(places) > DEPTH:
        return {}
    states = {"/".join(places) or WHOLE: content} if _tensors(content) else {}
    for name, inner in content.items():
        if not name.startswith(OPTIMISER):
            states |= _states(inner, *places, name)
    return states


def _tensors(state: Mapping) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


def _is_weight(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.dim() > 0
