"""Bringing a data set into the one form that all later steps read.

Images stand encoded and end to end in a safetensors file: `bytes` (uint8, all image files one after
the other: PNG, JPEG or what else Pillow reads), `offsets` (int64, one more than there are images),
`labels` (int64) and `split` (int64 positions in `SPLITS`). They keep their own size and encoding,
and a reader touches only the bytes of the images that it asks for. The file is written with bounded
memory: images pass through an unnamed temporary file, since a header says in advance how long
everything is, and an archive may hold them in another order than the data set.
"""

import io
import json
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from negmerge import plugins
from negmerge.data.archives import Member
from negmerge.data.fetch import counted, verify
from negmerge.data.images import decode
from negmerge.data.questions import write_questions
from negmerge.data.splits import SPLITS
from negmerge.errors import UserError, one_line, unknown
from negmerge.files import replacing

# Packages that not everybody needs, and the extras that bring them.
EXTRAS = {"pyarrow": "parquet"}


Source = Image.Image | Member | bytes
Item = tuple[str, int, Source] | tuple[str, int, Source, tuple[Any, ...]]


def prepare(name: str, row: Mapping, paths: Sequence[str], target: str | Path) -> None:
    """Read the files of a data set, or of a mirror of it, and write its images or questions."""
    files, splits = dict(zip(row["files"], paths, strict=True)), row["splits"]
    for key, file in row["files"].items():
        if not isinstance(file, str):
            verify(files[key], file)
    if row.get("inside"):
        (archive,) = files.values()
        files = {key: f"{archive}/{place}" for key, place in row["inside"].items()}
    items = _items(name, files, row)
    if row.get("form") == "questions":
        write_questions(target, items, splits)
        return
    notes = {"mirror": row["name"], "differs": row["differs"] or ""} if "name" in row else {}
    write_images(target, counted(name, items, sum(splits.values())), splits, row["classes"], notes)


def _items(name: str, files: Mapping[str, str], row: Mapping) -> Iterator:
    """Yield what the source of a row gives, with errors of one line."""
    source = row["source"]
    try:
        yield from plugins.source(source).read(files, row)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{name}: the source {source!r} needs {error.name}, which is not installed: "
            f"pip install 'negmerge[{EXTRAS.get(error.name, 'workflow')}]'"
        ) from error
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"{', '.join(dict.fromkeys(files.values()))}: not what the source {source!r} reads "
            f"({type(error).__name__}: {one_line(error):.200})"
        ) from error


def write_images(
    path: str | Path,
    images: Iterable[Item],
    expected: Mapping[str, int],
    classes: int,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a prepared data set; at no time is more than one image in memory."""
    with replacing(path) as partial, Spool(partial.parent) as spool:
        for split, label, image, *place in images:
            is_file = not isinstance(image, Image.Image | bytes)
            where = str(image) if is_file else f"{path}: item {len(spool)}"
            if split not in SPLITS:
                raise UserError(f"{where}: {unknown('split', split, SPLITS)}")
            if not 0 <= label < classes:
                raise UserError(f"{where}: label {label}, expected 0..{classes - 1}")
            spool.add(SPLITS.index(split), label, _encoded(image, where), *place)
        counts = {name: spool.splits.count(place) for place, name in enumerate(SPLITS)}
        for name in SPLITS:
            if counts[name] != expected.get(name, 0):
                raise UserError(
                    f"{path}: {counts[name]} images in split {name!r}, expected "
                    f"{expected.get(name, 0)}"
                )
        spool.write(partial, {"splits": json.dumps(counts), **(notes or {})})


def _encoded(image: Source, where: str) -> bytes:
    """Return an image as the bytes of an image file, which can be decoded."""
    if isinstance(image, Image.Image):
        return encode(image)
    content = image if isinstance(image, bytes) else image.read()
    try:
        decode(content)
    except ValueError as error:
        raise UserError(f"{where}: not a whole image ({error})") from error
    return content


def encode(image: Image.Image) -> bytes:
    """Encode an image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


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
                self._stream.seek(self._ends[number])
                target.write(self._stream.read(self._ends[number + 1] - self._ends[number]))


def _header(tensors: Mapping[str, np.ndarray], count: int, metadata: Mapping[str, str]) -> bytes:
    """Make the header: its length as 8 bytes, then JSON filled up with blanks to a multiple of 8.

    The format is that of github.com/huggingface/safetensors: numbers before bytes, then by name.
    """
    entries: dict[str, Any] = {"__metadata__": dict(metadata)}
    start = 0
    sizes = [(name, "I64", values.size, values.nbytes) for name, values in tensors.items()]
    for name, dtype, size, length in (*sizes, ("bytes", "U8", count, count)):
        offsets = [start, start + length]
        entries[name] = {"dtype": dtype, "shape": [size], "data_offsets": offsets}
        start += length
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
