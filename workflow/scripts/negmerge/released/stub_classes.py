"""Pickled objects read without running anything: stub classes take the place of their own.

torch's safe loader builds tensors and refuses every class that is not registered. Here a stub is
registered for each class that a file names, if it belongs to the packages that such a model is
made of. Whatever else a file names is refused by its name, before anything is built.
"""

import pickletools
import textwrap
import zipfile
from _compat_pickle import IMPORT_MAPPING
from pathlib import Path

import torch

from negmerge.checkpoints.torch_files import require_archive, stub_class
from negmerge.errors import UserError

# Classes of these may be named; their stubs do nothing.
PACKAGES = ("src", "open_clip", "clip", "timm", "torchvision", "torch.nn.modules", "PIL")
# What torch itself builds. Its own list is longer: it has calls that take any amount of memory.
BUILT = {
    "builtins.set",
    "collections.OrderedDict",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_tensor_v2",
}


def load(path: str | Path) -> object:
    """Read what `torch.save` has written, with a `Stub` for each object; nothing of it is run.

    Tensors are views of the mapped file, also those of a GPU.
    """
    try:
        require_archive(path)
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise UserError(f"{path}: {damaged!r} is damaged: its checksum is another")
            pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
            places = [place for name in pickles for place in _classes(archive.read(name), path)]
        # `set`: torch 2.5 does not yet build one by itself.
        with torch.serialization.safe_globals([set, *map(stub_class, places)]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except Exception as error:  # Of a damaged file, zipfile and torch raise many kinds.
        reason = textwrap.shorten(str(error), 200)
        raise UserError(f"{path}: not a whole file of torch.save since 1.6 ({reason})") from error


def _classes(pickled: bytes, path: str | Path) -> list[str]:
    """List the classes that a pickle names and torch does not build, which a model may have."""
    places = set()
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name == "GLOBAL":
            module, name = argument.split(" ")
            # torch writes the names that modules had in Python 2.
            places.add(f"{IMPORT_MAPPING.get(module, module)}.{name}")
    storages = {p for p in places if p.endswith("Storage") and p.rpartition(".")[0] == "torch"}
    classes = sorted(places - BUILT - storages)
    foreign = [p for p in classes if not p.startswith(tuple(f"{name}." for name in PACKAGES))]
    if foreign:
        raise UserError(
            f"{path}: names {foreign[0]!r}, which is no part of a model of {', '.join(PACKAGES)}; "
            f"nothing was run ({len(foreign)} such names)"
        )
    return classes
