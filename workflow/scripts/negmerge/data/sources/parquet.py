"""Parquet files of the Hugging Face hub: a column of image files, and one of labels.

The names of the classes are in the schema's metadata, as the library `datasets` writes them. Labels
follow the names, not their numbers, which differ between copies of a data set.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyarrow
from pyarrow.parquet import ParquetFile

from negmerge.data.tables import class_numbers
from negmerge.errors import UserError

IMAGES_AT_ONCE = 64


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, bytes, tuple]]:
    """Read the files of each split, in the order that the option `order` says."""
    options = row["options"]
    columns = [options.get("image", "image"), options.get("label", "label")]
    for number, (split, names) in enumerate(options["files"].items()):
        for shard, name in enumerate(names):
            for place, (label, content, file) in enumerate(_items(files[name], columns, row)):
                if options["order"] != "stored" and not file:
                    raise UserError(f"{files[name]}: row {place} has no file name to sort it by")
                key = {
                    "stored": (shard, place),
                    "file": (file,),
                    "class-file": (label, file),
                }[options["order"]]
                yield split, label, content, (number, *key)


def _items(
    path: str, columns: Sequence[str], row: Mapping
) -> Iterator[tuple[int, bytes, str | None]]:
    """Yield our label of each row of a file, its image file, and the name of this if it has one."""
    with _open(path, columns) as file:
        labels = class_numbers(_class_names(file, columns[1], path), row["class_names"], path)
        for place, (image, label) in enumerate(_rows(file, columns)):
            if not isinstance(label, int) or not 0 <= label < len(labels):
                raise UserError(
                    f"{path}: row {place} has label {label}, expected 0..{len(labels) - 1}"
                )
            content, name = image, None
            if isinstance(image, Mapping):
                content, name = image.get("bytes"), image.get("path")
            if not isinstance(content, bytes):
                raise UserError(f"{path}: row {place} holds no image file")
            yield labels[label], content, name


@contextmanager
def _open(path: str, columns: Sequence[str]) -> Iterator[ParquetFile]:
    try:
        with ParquetFile(path) as file:
            for column in columns:
                if column not in file.schema_arrow.names:
                    found = ", ".join(file.schema_arrow.names)
                    raise UserError(f"{path}: no column {column!r}; found: {found}")
            yield file
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(
            f"{path}: not a whole parquet file ({' '.join(str(error).split()):.200})"
        ) from error


def _class_names(file: ParquetFile, column: str, path: str) -> list[str]:
    """Read the class names from what `datasets` has noted in the schema."""
    try:
        noted = json.loads((file.schema_arrow.metadata or {})[b"huggingface"])
        return list(map(str, noted["info"]["features"][column]["names"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: names no classes of the column {column!r}") from error


def _rows(file: ParquetFile, columns: Sequence[str]) -> Iterator[tuple[object, object]]:
    for batch in file.iter_batches(IMAGES_AT_ONCE, columns=list(columns)):
        yield from zip(*(batch.column(column).to_pylist() for column in columns), strict=True)
