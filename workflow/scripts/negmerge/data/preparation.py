"""Bringing a data set into the one form that all later steps read.

Images stand encoded and end to end in a safetensors file: `bytes` (uint8), `offsets` (int64, one
more than there are images), `labels` (int64) and `split` (int64 positions in `SPLITS`). Images pass
through an unnamed temporary file, so memory is bounded though the header comes first.
"""

import io
import json
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from negmerge import plugins
from negmerge.data.archives import Member
from negmerge.data.checksums import verify
from negmerge.data.images import decode
from negmerge.data.progress import counted
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
    source = plugins.source(row["source"])
    items = _read(name, source, files, row)
    if source.has_questions:
        write_questions(target, items, splits)
        return
    notes = {"mirror": row["name"], "differs": row["differs"] or ""} if "name" in row else {}
    items = counted(name, items, sum(splits.values()), unit=" images")
    write_images(target, items, splits, row["classes"], notes)


def _read(name: str, source: Any, files: Mapping[str, str], row: Mapping) -> Iterator:
    """Read the items of a source; files without a checksum may hold anything."""
    try:
        yield from source.read(files, row)
    except UserError:
        raise
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise UserError(
            f"{name}: the source {row['source']!r} needs {package}, which is not installed: "
            f"pip install 'negmerge[{EXTRAS.get(package, 'workflow')}]'"
        ) from error
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"{name}: not what the source {row['source']!r} reads: {', '.join(files.values())} "
            f"({type(error).__name__}: {one_line(error):.200}, {place.filename}:{place.lineno})"
        ) from error


def write_images(
    path: str | Path,
    images: Iterable[Item],
    expected: Mapping[str, int],
    classes: int,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a prepared data set; at no time is more than one image in memory."""
    labels, splits, sizes, places = [], [], [], []
    with replacing(path) as partial, tempfile.TemporaryFile(dir=partial.parent) as spool:
        for split, label, image, *place in images:
            is_file = not isinstance(image, Image.Image | bytes)
            where = str(image) if is_file else f"{path}: item {len(labels)}"
            if split not in SPLITS:
                raise UserError(f"{where}: {unknown('split', split, SPLITS)}")
            if not 0 <= label < classes:
                raise UserError(f"{where}: label {label}, expected 0..{classes - 1}")
            sizes.append(spool.write(_encoded(image, where)))
            splits.append(SPLITS.index(split))
            labels.append(label)
            places.append(place[0] if place else len(places))
        counts = {name: splits.count(number) for number, name in enumerate(SPLITS)}
        for name, count in counts.items():
            if count != expected.get(name, 0):
                raise UserError(
                    f"{path}: {count} images in split {name!r}, expected {expected.get(name, 0)}"
                )
        order = sorted(range(len(places)), key=places.__getitem__)
        starts = np.cumsum([0, *sizes])[order]
        sizes = np.array(sizes, np.int64)[order]
        tensors = {
            "labels": np.array(labels, np.int64)[order],
            "offsets": np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            "split": np.array(splits, np.int64)[order],
        }
        with open(partial, "wb") as target:
            _write_header(target, tensors, {"splits": json.dumps(counts), **(notes or {})})
            for values in tensors.values():
                target.write(values.astype("<i8").tobytes())
            for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
                spool.seek(start)
                target.write(spool.read(size))


def _write_header(
    target: BinaryIO, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> None:
    """Write what safetensors' `save_file` would: numbers before bytes, then by name."""
    entries: dict[str, Any] = {"__metadata__": metadata}
    end, count = 0, int(tensors["offsets"][-1])
    parts = [(name, "I64", values.size, values.nbytes) for name, values in tensors.items()]
    for name, dtype, size, length in [*parts, ("bytes", "U8", count, count)]:
        entries[name] = {"dtype": dtype, "shape": [size], "data_offsets": [end, end + length]}
        end += length
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    # The header's length is a multiple of 8.
    text += b" " * (-len(text) % 8)
    target.write(len(text).to_bytes(8, "little") + text)


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
