"""Files of `torch.save`, opened by torch's own safe loader and mapped into memory."""

import re
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from negmerge.checkpoints.nested import state_in
from negmerge.checkpoints.safetensors_file import DTYPES
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError

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


class TorchFile(StoredState):
    """A file of `torch.save`: a state, or a training checkpoint with one inside.

    Only names, numbers and tensors are read. The old format, from before torch 1.6, cannot be
    mapped: such a file is read whole.

    Args:
        path: the file.
        key: the place of the state in a training checkpoint that holds several.

    Raises:
        UserError: the file is cut or holds other objects, which are named; no state or several; a
            tensor that is no plain array.
    """

    def __init__(self, path: str | Path, key: str | None = None):
        self.path = Path(path)
        self.files = [self.path]
        self.metadata = {}
        self._tensors, self.notes = state_in(_load(self.path), key, self.path)
        self.names = sorted(self._tensors)
        _require_room(self.path, self._tensors.values())
        self._size = self.path.stat().st_size
        for name, tensor in self._tensors.items():
            if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
                kind = "without numbers" if tensor.is_meta else tensor.layout
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

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """See `StoredState`."""
        self.dtype(name)
        if self.path.stat().st_size < self._size:
            raise UserError(f"{self.path}: tensor {name!r} ends too early; the file was cut")
        return _part(self._tensors[name].detach(), start, stop)

    def place(self, name: str) -> tuple[Path, int] | None:
        """See `StoredState`; torch does not tell."""
        return None


def _part(tensor: Tensor, start: int, stop: int) -> Tensor:
    """Return the numbers start..stop of a flattened tensor, and copy no others if it is strided."""
    if tensor.is_contiguous() or start == stop:
        return tensor.reshape(-1)[start:stop] if tensor.is_contiguous() else tensor.new_empty(0)
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


def _load(path: Path) -> object:
    """Load what a file holds, with its tensors mapped if that can be."""
    # torch maps a packed archive as if it were none, and its numbers would be others.
    mapped = zipfile.is_zipfile(path) and all(
        entry.compress_type == zipfile.ZIP_STORED for entry in _entries(path)
    )
    stand_ins = [_stand_in(name) for name in NOTED]
    try:
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises many kinds for a file that is cut or lies
        _refuse(path, error)


def _entries(path: Path) -> list[zipfile.ZipInfo]:
    """List what a zip archive holds.

    Raises:
        UserError: it is none of torch, or TorchScript.
    """
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
    return entries


def _require_room(path: Path, tensors: Iterable[Tensor]) -> None:
    """Check that each tensor has as many bytes as the file has for it: torch maps without a look.

    Raises:
        UserError: a tensor is larger than what is there.
    """
    if zipfile.is_zipfile(path):
        storages = {one.untyped_storage().data_ptr(): one.untyped_storage() for one in tensors}
        found = Counter(storage.nbytes() for storage in storages.values())
        if not found <= Counter(entry.file_size for entry in _entries(path)):
            raise UserError(f"{path}: not a whole file of torch.save (tensors lack numbers)")


def _stand_in(name: str) -> type:
    module, _, word = name.rpartition(".")
    body = {
        "__module__": module,
        "__qualname__": word,
        "__init__": lambda self, *_, **__: None,
        "__setstate__": lambda self, _: None,
    }
    return type(word, (), body)


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
