"""Points of a pool whose fine-tuning diverged, so that merges and choices leave them out.

The file of such a point holds no tensors, and its header names the point. So does the file of a
merge whose points all diverged; any other merge names in its header the points that it lacks.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from negmerge.errors import UserError

# In the metadata of a file, and in the records of choices and scores.
DIVERGED = "diverged"


def sift(paths: Iterable[str | Path]) -> tuple[list[str | Path], list[str]]:
    """Return the files with weights, in their order, and the names of points that diverged."""
    whole, diverged = [], set()
    for path in paths:
        names, labels = _header(path)
        diverged.update(labels.get(DIVERGED, ()))
        if names:
            whole.append(path)
    return whole, sorted(diverged)


def is_nothing_left(record: Mapping) -> bool:
    """Whether all of a choice's or score's candidates diverged; a score has the base's numbers."""
    return bool(record.get(DIVERGED)) and record.get("vector") is None


def _header(path: str | Path) -> tuple[list[str], dict]:
    """Read the names of a file's tensors, and what `states.write_state` noted; needs no torch."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            return list(file.keys()), json.loads((file.metadata() or {}).get("negmerge", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{path}: not a whole safetensors file ({error}); delete it and run again"
        ) from error
