"""An adapter as a member of a pool: its vector, computed from its factors part by part."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from negmerge.adapters.changes import Part
from negmerge.adapters.configuration import FILE, read_configuration
from negmerge.adapters.fitting import Changes, Fitting
from negmerge.adapters.parts import Module, sort_tensors
from negmerge.adapters.paths import SPELLINGS, find_modules, missing, spelled
from negmerge.checkpoints.opening import open_state
from negmerge.checkpoints.states import StoredState, require_finite
from negmerge.errors import UserError

WEIGHTS = (
    "adapter_model.safetensors",
    "adapter_model.bin",
    "adapter_model.safetensors.index.json",
    "adapter_model.bin.index.json",
)
HEADS = ("lm_head", "embed_out", "output")


class Adapter:
    """The vector of an adapter, a `merging.blocks.Source`."""

    def __init__(self, label: Path, files: list[Path], changes: Changes, paths: dict[str, str]):
        self.label, self.files, self.changes, self.paths = label, files, changes, paths
        self.names = sorted(changes)
        self.notes: list[str] = []

    def rows(self, part: Part, room: Tensor | None = None) -> Tensor:
        """Return the change of a part of a tensor, flattened, as `merging.blocks.Source` does."""
        total = None
        for change in self.changes.get(part.name, ()):
            rows = change.rows(part)
            total = rows if total is None else total + rows
        if total is None:
            return torch.zeros(part.stop - part.start, device=part.device)
        # One sum shows almost always that all is well, in a fraction of the time of a look at each.
        if not torch.isfinite(total.sum()):
            require_finite(total, part.name, self.label)
        return total


def is_adapter(place: str | Path) -> bool:
    """Whether a place holds an adapter: its folder, or a file of such a folder."""
    place = Path(place)
    if place.is_dir():
        return any((place / name).exists() for name in (FILE, *WEIGHTS))
    return place.name == FILE or place.name.startswith("adapter_model.")


def open_adapter(
    place: str | Path,
    base: StoredState,
    *,
    wanted: Callable[[str], bool] = lambda name: True,
    vocabulary: str | None = None,
) -> Adapter:
    """Open an adapter, by its folder or a file of it, as a vector of the wanted tensors."""
    folder = Path(place) if Path(place).is_dir() else Path(place).parent
    configuration = read_configuration(folder)
    file = open_state(_weights(folder))
    fitting = Fitting(file, configuration, base, str(folder), vocabulary == "base")
    modules: dict[str, list[Module]] = {}
    for module in sort_tensors(file):
        modules.setdefault(module.path, []).append(module)
    for of_path in modules.values():
        of_path.sort(key=lambda module: module.nested)
    targets = _find(folder, modules, base, fitting, wanted)
    changes: Changes = {}
    for path, target in targets.items():
        for name, change in _fit(fitting, modules[path], target, wanted).items():
            if wanted(name):
                changes.setdefault(name, []).extend(change)
    if not changes:
        raise UserError(f"{folder}: the adapter changes nothing of {base.path}")
    paths = {target: path for path, target in targets.items()}
    adapter = Adapter(folder, [folder / FILE, *file.files], changes, paths)
    adapter.notes = _notes(folder, configuration.note(), targets)
    return adapter


def _weights(folder: Path) -> Path:
    for name in WEIGHTS:
        if (folder / name).exists():
            return folder / name
    raise UserError(f"{folder}: no {WEIGHTS[0]} or {WEIGHTS[1]} beside {FILE}")


def _find(
    folder: Path,
    modules: dict[str, list[Module]],
    base: StoredState,
    fitting: Fitting,
    wanted: Callable[[str], bool],
) -> dict[str, str]:
    """Find the module of the base for each path of the adapter."""
    known = {name.rpartition(".")[0] for name in base.names}

    modules_of_base: dict[str, str] = {}
    for spelling in SPELLINGS:
        paths = {spelled(path, spelling): path for path in modules}

        def fits(path: str, target: str, paths: dict[str, str] = paths) -> bool:
            try:
                return bool(fitting.changes(modules[paths[path]], target))
            except UserError:
                return False

        spelled_modules = find_modules(paths, known, fits, str(folder))
        if len(spelled_modules) > len(modules_of_base):
            modules_of_base = {paths[path]: target for path, target in spelled_modules.items()}
        if len(modules_of_base) == len(modules):
            break
    for path in sorted(modules.keys() - modules_of_base.keys()):
        values = [part for module in modules[path] for part in module.values]
        if not any(wanted(f"{path}.{part}") for part in values or ["weight"]):
            continue
        if values:
            raise UserError(
                f"{folder}: stores {path!r} whole (modules_to_save), which {base.path} lacks; "
                f"leave it out with --exclude '{path}', or give a base that has it"
            )
        tied = "; a head that is tied to the embeddings has none of its own" * (path in HEADS)
        raise UserError(
            f"{folder}: changes {path!r}, which {base.path} lacks{tied}; {missing(path, known)}"
        )
    return modules_of_base


def _fit(
    fitting: Fitting, modules: list[Module], target: str, wanted: Callable[[str], bool]
) -> Changes:
    try:
        return fitting.changes(modules, target)
    except UserError:
        parts = [part for module in modules for part in module.values] or ["weight"]
        if any(wanted(f"{target}.{part}") for part in parts):
            raise
        return {}


def _notes(folder: Path, about_base: str | None, targets: dict[str, str]) -> list[str]:
    notes = [f"{folder}: {about_base}"] if about_base else []
    renamed = [(path, target) for path, target in targets.items() if path != target]
    if renamed:
        path, target = renamed[0]
        notes.append(
            f"{folder}: {len(renamed)} modules have other paths in the base, such as {path!r}, "
            f"which is {target!r}"
        )
    return notes
