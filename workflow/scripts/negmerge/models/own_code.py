"""Classifiers from code of the user's: a function in a file, or an entry of torch.hub."""

import fcntl
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, ModuleType

import torch
from torch import nn

from negmerge.errors import UserError, one_line, unknown
from negmerge.models.devices import channels_last
from negmerge.settings.own_code import HUBCONF, on_github, place

NOTHING: Mapping = MappingProxyType({})


def from_factory(
    classes: int | None, size: int, name: str, options: Mapping = NOTHING, digest: str = ""
) -> nn.Module:
    """Build what a function of a file returns; its own arguments say how many outputs it has."""
    file, _, function = name.rpartition(":")
    return _build(place(file), function, options, classes, size)


def from_torch_hub(
    classes: int | None,
    size: int,
    repository: str,
    name: str,
    options: Mapping = NOTHING,
    digest: str = "",
) -> nn.Module:
    """Build what an entry of a repository returns, which is fetched from GitHub or a folder."""
    github = on_github(repository)
    folder = _fetched(repository, *github) if github else place(repository)
    return _build(folder / HUBCONF, name, options, classes, size)


def _build(
    path: Path, function: str, options: Mapping, classes: int | None, size: int
) -> nn.Module:
    where = f"{path}:{function}"
    with _running(path) as module:
        make = getattr(module, function, None)
        if not callable(make):
            own = [n for n, value in vars(module).items() if callable(value) and n[0] != "_"]
            raise UserError(f"{path}: {unknown('function', function, own)}")
        try:
            inspect.signature(make).bind(**options)
        except TypeError as error:
            given = ", ".join(options) or "none"
            raise UserError(
                f"{where}: {error}; given by `architecture.options`: {given}"
            ) from error
        network = make(**options)
        if not isinstance(network, nn.Module):
            kind = type(network).__name__
            raise UserError(f"{where}: gave an object of type {kind}, expected a torch.nn.Module")
        _try(network, classes, size, where)
    return network


def _try(network: nn.Module, classes: int | None, size: int, where: str) -> None:
    """Check that logits come out, with the channels last where the network can have that."""
    mode, image = network.training, torch.zeros(2, 3, size, size)
    channels_last(network.eval())
    with torch.no_grad():
        try:
            logits = network(image)
        except RuntimeError:  # `Tensor.view` fails on such tensors
            logits = network.to(memory_format=torch.contiguous_format)(image)
    network.train(mode)
    expected = f"expected logits of shape [2, {'classes' if classes is None else classes}]"
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
        what = getattr(logits, "shape", type(logits).__name__)
        what = what if isinstance(what, str) else list(what)
        raise UserError(f"{where}: for 2 images of {size} pixels it gives {what}, {expected}")
    if classes is not None and logits.shape[1] != classes:
        raise UserError(
            f"{where}: it has {logits.shape[1]} outputs, the data set {classes} classes; "
            "see `architecture.options`"
        )


@contextmanager
def _running(path: Path) -> Iterator[ModuleType]:
    """Run a file of code; what lies beside it can be imported while the block lasts."""
    if not path.is_file():
        raise UserError(f"{path}: no such file, but `architecture` of a model's row names it")
    name = f"own_code_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        try:
            spec.loader.exec_module(module)
        except (SyntaxError, ImportError) as error:
            raise UserError(f"{path}: {one_line(error)}") from error
        yield module
    finally:
        sys.path.remove(str(path.parent))


def _fetched(repository: str, owner: str, name: str, commit: str) -> Path:
    """Return the folder of torch's cache with a repository, fetched if it is not there."""
    cache = Path(torch.hub.get_dir())
    folder = cache / f"{owner}_{name}_{commit}"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / ".negmerge.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            try:
                # GitHub does not say of which branch a commit is, so torch cannot look it up.
                torch.hub.list(repository, skip_validation=True, trust_repo=True, verbose=False)
            except Exception as error:
                # It reads the repository, too, which is done again where errors have their line.
                if not folder.exists():
                    raise UserError(
                        f"{repository} cannot be fetched from GitHub: {one_line(error)}; run again "
                        "where there is internet"
                    ) from error
    return folder
