"""Writing the prepared form of a data set with bounded memory, however many images it has.

The images pass through an unnamed temporary file beside the target, since the header of a
safetensors file says in advance how long everything is, and since an archive may hold the images in
another order than that of the data set.
"""

import json
import tempfile
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

# As large as the header's length must be a multiple of.
ALIGNMENT = 8


class Spool:
    """Encoded images in a temporary file that no crash leaves behind."""

    def __init__(self, folder: Path):
        self.labels, self.splits = array("q"), array("q")
        self._ends = array("q", [0])
        self._places: list[Any] = []
        self._stream = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed on exit)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __len__(self) -> int:
        return len(self.labels)

    def add(self, split: int, label: int, encoded: bytes, place: Any = None) -> None:
        """Add an image; `place` decides where it stands among the others, None: after the last."""
        self._stream.write(encoded)
        self._ends.append(self._ends[-1] + len(encoded))
        self.splits.append(split)
        self.labels.append(label)
        self._places.append(len(self._places) if place is None else place)

    def write(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write all images in the order of their places, as safetensors' `save_file` would."""
        order = sorted(range(len(self)), key=self._places.__getitem__)
        ends = np.array(self._ends, np.int64)
        sizes = np.diff(ends)[order]
        tensors = {
            "labels": np.array(self.labels, np.int64)[order],
            "offsets": np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            "split": np.array(self.splits, np.int64)[order],
        }
        with open(path, "wb") as target:
            target.write(_header(tensors, int(ends[-1]), metadata))
            for values in tensors.values():
                target.write(values.astype("<i8").tobytes())
            for number in order:
                self._copy(number, target)

    def _copy(self, number: int, target: BinaryIO) -> None:
        start, end = self._ends[number], self._ends[number + 1]
        self._stream.seek(start)
        target.write(self._stream.read(end - start))


def _header(tensors: Mapping[str, np.ndarray], count: int, metadata: Mapping[str, str]) -> bytes:
    """Make the header: its length as 8 bytes, then JSON filled up with blanks.

    The format is that of github.com/huggingface/safetensors: numbers before bytes, then by name.
    """
    entries: dict[str, Any] = {"__metadata__": dict(metadata)}
    start = 0
    for name, values in tensors.items():
        entries[name] = _entry("I64", values.size, start, values.nbytes)
        start += values.nbytes
    entries["bytes"] = _entry("U8", count, start, count)
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _entry(dtype: str, size: int, start: int, length: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [size], "data_offsets": [start, start + length]}
