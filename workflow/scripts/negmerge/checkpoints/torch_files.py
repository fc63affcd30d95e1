"""Files of `torch.save` as states: nothing in them runs, and their tensors are mapped."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.states import Layout, StoredState
from negmerge.errors import UserError, unknown

# Wrappers of a module that put a word before all its names: DataParallel and torch.compile.
PREFIXES = ("module.", "_orig_mod.")
# The place of the state in a file that is no more than a state.
WHOLE = "."
# The state of an optimiser has tensors too, under such a name.
OPTIMISER = "optim"
# States lie at most this deep: a file that lies may hold itself.
DEPTH = 8
# What trainings note beside the weights, and torch's safe loader does not know.
NOTED = ("_codecs.encode", "argparse.Namespace", "datetime.", "numpy.", "pathlib.")


class Stub:
    """An object without behaviour, which keeps the attributes that it is given."""

    def __new__(cls, *ignored: object) -> "Stub":
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


def load(path: str | Path, packages: tuple[str, ...] = NOTED) -> object:
    """Read what `torch.save` has written: names, numbers and tensors, mapped if that can be.

    torch's safe loader refuses every class that it does not know. A `Stub` takes the place of those
    whose names begin with one of `packages`; a file that names any other is refused by that name.
    """
    mapped = zipfile.is_zipfile(path)
    if mapped:
        _require_archive(path)
    # torch 2.5 does not yet build a `set` by itself.
    known: list[type] = [set]
    while True:
        try:
            with torch.serialization.safe_globals(known):
                return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
        except Exception as error:  # torch raises many kinds for a file that is cut or lies
            named = re.search(r"GLOBAL ([\w.]+)", str(error))
            module, _, name = named[1].rpartition(".") if named else ("", "", "")
            if named and named[1].startswith(packages) and module:
                known.append(type(name, (Stub,), {"__module__": module}))
                continue
            if named:
                advice = (
                    "`negmerge convert` reads the files of NegMerge's authors"
                    if module.startswith("src.")
                    else "save the model's state_dict() instead"
                )
                line = f"holds the object {named[1]}, expected tensors by name; {advice}"
            else:
                text = re.split(r"\. |\n", str(error).strip())[0] or type(error).__name__
                line = f"not a whole file of torch.save ({text}); fetch it again"
            raise UserError(f"{path}: {line}") from error


def _require_archive(path: str | Path) -> None:
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

    The old format, from before torch 1.6, cannot be mapped: such a file is read whole. Tensors
    whose numbers do not lie in their order are copied.
    """

    def __init__(self, path: str | Path, key: str | None = None):
        self._tensors, self.notes = _find_state(load(path), key, path)
        for name, tensor in self._tensors.items():
            kind = "without numbers" if tensor.is_meta else tensor.layout
            if tensor.is_quantized or kind != torch.strided:
                kind = "quantised" if tensor.is_quantized else kind
                raise UserError(f"{path}: tensor {name!r} is {kind}, expected a plain array")
        super().__init__(
            path, {n: Layout(t.dtype, tuple(t.shape)) for n, t in self._tensors.items()}
        )
        self._size = self.path.stat().st_size

    def _flattened(self, name: str) -> Tensor:
        self.dtype(name)
        # To touch a mapping beyond the end of its file would kill the process.
        if self.path.stat().st_size < self._size:
            raise UserError(f"{self.path}: tensor {name!r} ends too early; the file was cut")
        return self._tensors[name].detach().contiguous().view(-1)


def _find_state(
    content: object, key: str | None, path: str | Path
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
        values = state[name] if isinstance(state[name], list | tuple | set) else ()
        if any(isinstance(value, Tensor) for value in values):
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
