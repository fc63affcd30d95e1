"""Loading files of `torch.save` by torch's own safe loader, so that nothing in them runs."""

import re
import zipfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from negmerge.checkpoints.pickles import named_in, stand_in
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
# Before torch 1.6: two numbers, facts of the machine, the object, and a list of its storages.
LEGACY_PICKLES = 5


def load(path: Path) -> object:
    """Load what a file holds: names, numbers and tensors, mapped if that can be."""
    mapped = zipfile.is_zipfile(path)
    if mapped:
        _require_archive(path)
    stand_ins = [stand_in(*name.rsplit(".", 1)) for name in NOTED]
    try:
        _look_at_pickles(path, mapped)
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except UserError:
        raise
    except Exception as error:  # torch raises many kinds for a file that is cut or lies
        _refuse(path, error)


def require_plain(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Check that tensors are arrays, and that the file has all their numbers."""
    held = path.stat().st_size
    for name, tensor in tensors.items():
        kind = "without numbers" if tensor.is_meta else tensor.layout
        if tensor.is_quantized or kind != torch.strided:
            kind = "quantised" if tensor.is_quantized else kind
            raise UserError(f"{path}: tensor {name!r} is {kind}, expected a plain array")
        if tensor.nbytes > held:
            raise UserError(
                f"{path}: tensor {name!r} claims {tensor.nbytes:,} bytes, the file has {held:,}"
            )
    if zipfile.is_zipfile(path):
        # torch maps what the file says, without a look at what it has.
        storages = (tensor.untyped_storage() for tensor in tensors.values())
        found = Counter({one.data_ptr(): one.nbytes() for one in storages}.values())
        if not found <= Counter(entry.file_size for entry in _entries(path)):
            raise UserError(f"{path}: not a whole file of torch.save (tensors lack numbers)")


def _entries(path: Path) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(path) as archive:
        return archive.infolist()


def _require_archive(path: Path) -> None:
    """Check that a zip archive is one that torch can map."""
    entries = _entries(path)
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


def _look_at_pickles(path: Path, is_archive: bool) -> None:
    """Check that the pickles of a file can be loaded without ending the process."""
    if not is_archive:
        with open(path, "rb") as stream:
            for _ in range(LEGACY_PICKLES):
                named_in(stream, path)
        return
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith("data.pkl"):
                named_in(archive.read(entry), path)


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
