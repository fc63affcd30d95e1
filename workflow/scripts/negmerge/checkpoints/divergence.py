"""Which vectors of a pool are taken: those that have not diverged, and those that were chosen.

Merges and choices leave out points of the pool whose fine-tuning diverged.
The file of such a point holds no tensors, and its header names the point. So does the file of a
merge whose points all diverged; any other merge names in its header the points that it lacks.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from negmerge.errors import UserError, unknown
from negmerge.files import read_json_records

# In the metadata of a file, and in the records of choices and scores.
DIVERGED = "diverged"
# Likewise of a merged vector: how many times what the method gives with its defaults it is by
# construction, if not once; see `merging.engine.Method.times`.
TIMES = "times"


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


def chosen_vectors(choice: str | Path, vectors: Sequence[str | Path]) -> dict[str, int]:
    """Find the places, from 0, of chosen vectors by criterion, the main one first."""
    names = [Path(path).name.removesuffix(".safetensors") for path in vectors]
    places = {}
    for record in read_json_records(choice, keys=["vector", "criterion"]):
        if record["vector"] not in names:
            raise UserError(f"{choice}: {unknown('vector', record['vector'], names)}")
        places[record["criterion"]] = names.index(record["vector"])
    return places


def is_nothing_left(record: Mapping) -> bool:
    """Whether all of a choice's or score's candidates diverged; a score has the base's numbers."""
    return bool(record.get(DIVERGED)) and record.get("vector") is None
