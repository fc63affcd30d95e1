"""Merging states in memory, and safetensors files without holding the pool in memory."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from negmerge import __version__
from negmerge.errors import UserError, find
from negmerge.files import sha256
from negmerge.merging.registry import METHODS, Method
from negmerge.states import (
    State,
    StateFile,
    require_finite,
    require_same_layout,
    shapes,
    write_state,
)
from negmerge.vectors import in_vector, task_vector, widen


def merge(method: str, vectors: Sequence[Mapping[str, Tensor]], **options: float) -> State:
    """Merge task vectors.

    Args:
        method: a name in `METHODS`.
        vectors: at least one state of floating-point tensors; all with the same names and
            shapes. Sums run in their order.
        options: the method's options.

    Returns:
        The merged vector: float32, or float64 where the vectors are.

    Raises:
        UserError: unknown method or option, no vector, names or shapes that differ, an integer
            tensor, NaN or infinity.
    """
    labels = [f"vector {number}" for number in range(1, len(vectors) + 1)]
    chosen, settings = _prepare(method, vectors, labels, options)
    return {
        name: _combine(
            chosen,
            settings,
            name,
            (
                _numbers(vector[name], name, label)
                for vector, label in zip(vectors, labels, strict=True)
            ),
        )
        for name in sorted(vectors[0])
    }


def merge_files(
    method: str,
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    base: str | Path | None = None,
    progress: bool = False,
    **options: float,
) -> dict:
    """Merge safetensors files, one tensor at a time, into a new file.

    Args:
        method: a name in `METHODS`.
        paths: task vectors; or checkpoints, where `base` is given.
        output: the file to write, at once or not at all.
        base: the checkpoint before fine-tuning; its buffers (`vectors.in_vector`) stay out.
        progress: show a bar on standard error.
        options: the method's options.

    Returns:
        A report, also stored in the output's header: `method`, `options`, `inputs` (name and
        SHA-256 of each), `base` (likewise, or None), `version` of this library, `kept`
        (non-zero numbers of the result) and `numbers` (all of them).

    Raises:
        UserError: as `merge`; also a file that is missing, truncated or foreign.
    """
    files = [StateFile(path) for path in paths]
    origin = StateFile(base) if base is not None else None
    chosen, settings = _prepare(method, files, [file.path for file in files], options, origin)
    names = files[0].names if origin is None else [n for n in origin.names if origin.is_float(n)]
    merged = {}
    for name in tqdm(names, desc=f"merge {method}", unit="tensor", disable=not progress):
        if origin is not None and not in_vector(name, origin[name]):
            continue
        merged[name] = _combine(chosen, settings, name, _read(files, name, origin))
    report = {
        "method": method,
        "options": settings,
        "inputs": [_identity(path) for path in paths],
        "base": None if base is None else _identity(base),
        "version": __version__,
        "kept": sum(int(tensor.count_nonzero()) for tensor in merged.values()),
        "numbers": sum(tensor.numel() for tensor in merged.values()),
    }
    write_state(output, merged, report)
    return report


def _prepare(
    method: str,
    vectors: Sequence[Mapping[str, Tensor] | StateFile],
    labels: Sequence[str | Path],
    options: Mapping[str, object],
    base: StateFile | None = None,
) -> tuple[Method, dict[str, float]]:
    """Find the method and check its options and the layout of the vectors."""
    chosen = find("merge method", method, METHODS)
    settings = chosen.check(method, options)
    if not vectors:
        raise UserError(f"{method}: no vectors to merge, at least one is needed")
    reference = shapes(base if base is not None else vectors[0])
    for vector, label in zip(vectors, labels, strict=True):
        require_same_layout(reference, shapes(vector), label)
        for name in base.names if base is not None else []:
            if vector.is_float(name) != base.is_float(name):
                raise UserError(
                    f"{label}: tensor {name!r} and the base's are not both floating point"
                )
    return chosen, settings


def _identity(path: str | Path) -> dict[str, str]:
    """Name a file so that it is known again wherever it lies."""
    return {"name": Path(path).name, "sha256": sha256(path)}


def _read(files: Sequence[StateFile], name: str, base: StateFile | None) -> Iterable[Tensor]:
    """Read one tensor of each vector, or of each checkpoint less the base, one after the other."""
    before = {name: base[name]} if base is not None else {}
    for file in files:
        tensor = file[name]
        if base is not None:
            tensor = task_vector(before, {name: tensor}, file.path)[name]
        yield _numbers(tensor, name, file.path)


def _combine(
    method: Method, settings: Mapping[str, float], name: str, tensors: Iterable[Tensor]
) -> Tensor:
    """Merge one tensor of all vectors; a sum can overflow though its terms are finite."""
    return require_finite(method.combine(tensors, **settings), name, f"{method.title}'s result")


def _numbers(tensor: Tensor, name: str, where: str | Path) -> Tensor:
    """Give a vector's tensor as float32 or float64, if it can be part of a vector."""
    if not tensor.is_floating_point():
        raise UserError(
            f"{where}: tensor {name!r} holds {tensor.dtype}, expected floating point; checkpoints "
            "are merged with their base"
        )
    return widen(require_finite(tensor, name, where))
