"""Pickled objects read without running anything: inert stand-ins take the place of their classes.

torch's safe loader builds tensors and refuses every class that is not registered. Here a stand-in
is registered for each class that a file names, if it belongs to the packages that such a model is
made of. Whatever else a file names is refused by its name, before anything is built.
"""

import textwrap
import zipfile
from pathlib import Path

import torch

from negmerge.checkpoints.torch_files import named_in, stand_in
from negmerge.errors import UserError

# Classes of these may be named; their stand-ins do nothing.
PACKAGES = ("src", "open_clip", "clip", "timm", "torchvision", "torch.nn.modules", "PIL")
# What torch itself builds. Its own list is longer: it has calls that take any amount of memory.
BUILT = {
    ("builtins", "set"),
    ("collections", "OrderedDict"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_tensor_v2"),
}


def load(path: str | Path) -> object:
    """Read what `torch.save` has written, with `StandIn`s for objects; nothing of it is run.

    Tensors are views of the mapped file, also those of a GPU.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            named = named_in(_checked_pickle(archive, path), path)
        stand_ins = [stand_in(*name) for name in _foreign(named, path)]
        # `set`: torch 2.5 does not yet build one by itself.
        with torch.serialization.safe_globals([set, *stand_ins]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except Exception as error:  # Of a damaged file, zipfile and torch raise many kinds.
        reason = textwrap.shorten(str(error), 200)
        raise UserError(f"{path}: not a whole file of torch.save since 1.6 ({reason})") from error


def _checked_pickle(archive: zipfile.ZipFile, path: str | Path) -> bytes:
    """Return the pickle of an archive whose parts are whole and not compressed."""
    parts = archive.infolist()
    names = [Path(part.filename).name for part in parts]
    if "constants.pkl" in names:
        raise UserError(f"{path}: TorchScript, which is read by running it")
    if names.count("data.pkl") != 1:
        raise UserError(f"{path}: not written by torch.save: it has no data.pkl, or several")
    pickled = parts[names.index("data.pkl")]
    for part in parts:
        if part.compress_type != zipfile.ZIP_STORED:
            raise UserError(f"{path}: {part.filename!r} is compressed, expected none to be")
    damaged = archive.testzip()
    if damaged:
        raise UserError(f"{path}: {damaged!r} is damaged: its checksum is another")
    return archive.read(pickled)


def _foreign(named: set[tuple[str, str]], path: str | Path) -> list[tuple[str, str]]:
    """List the names that torch does not know, which are to be those of a model's classes."""
    wanted = sorted(pair for pair in named if not _is_built(*pair))
    foreign = [".".join(pair) for pair in wanted if not _is_inert(pair[0])]
    if foreign:
        raise UserError(
            f"{path}: names {foreign[0]!r}, which is no part of a model of {', '.join(PACKAGES)}; "
            f"nothing was run ({len(foreign)} such names)"
        )
    return wanted


def _is_built(module: str, name: str) -> bool:
    """Whether torch builds it: a kind of tensor storage, or one of `BUILT`."""
    return (module, name) in BUILT or (module == "torch" and name.endswith("Storage"))


def _is_inert(module: str) -> bool:
    """Whether a module belongs to the packages whose classes get stand-ins."""
    return any(f"{module}.".startswith(f"{package}.") for package in PACKAGES)
