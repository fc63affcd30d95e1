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


def split_diverged(paths: Iterable[str | Path]) -> tuple[list[str | Path], list[str]]:
    """Return the files with weights, in their order, and the names of points that diverged."""
    whole, diverged = [], set()
    for path in paths:
        # Without torch, which the rules that only look here do not load.
        try:
            with safe_open(str(path), framework="numpy") as file:
                names = file.keys()
                header = json.loads((file.metadata() or {}).get("negmerge", "{}"))
        except (SafetensorError, OSError, ValueError) as error:
            raise UserError(
                f"{path}: not a whole safetensors file ({error}); delete it and run again"
            ) from error
        diverged.update(header.get(DIVERGED, ()))
        if names:
            whole.append(path)
    return whole, sorted(diverged)


def is_nothing_left(record: Mapping) -> bool:
    """Whether all of a choice's or score's candidates diverged; a score has the base's numbers."""
    return bool(record.get(DIVERGED)) and record.get("vector") is None
