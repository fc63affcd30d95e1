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


def diverged(paths: Iterable[str | Path]) -> list[str]:
    """Return the points that diverged, of some vectors or of what these were merged from, sorted.

    Args:
        paths: vectors of points, or merged ones.

    Raises:
        UserError: a file that is missing or no safetensors file.
    """
    found: set[str] = set()
    for path in paths:
        _, labels = _header(path)
        found.update(labels.get(DIVERGED, ()))
    return sorted(found)


def with_weights(paths: Iterable[str | Path]) -> list[str | Path]:
    """Return the vectors that did not diverge, in their order.

    Args:
        paths: as for `diverged`.

    Raises:
        UserError: likewise.
    """
    return [path for path in paths if _header(path)[0]]


def is_nothing_left(record: Mapping) -> bool:
    """Whether all that a method could be made of, or choose among, diverged.

    Args:
        record: a choice or a score; the latter's numbers are those of the base.
    """
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
