"""Parquet files and shards of webdataset from the Hugging Face hub; labels follow class names."""

import json
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from negmerge.data.archives import (
    class_numbers,
    errors_in_one_line,
    file_name,
    lines,
    members,
    read_file,
)
from negmerge.data.sources import Files, Names, Source, Split
from negmerge.errors import UserError
from negmerge.settings.recipe import Settings

ROWS_AT_ONCE = 64
IMAGES, LABEL = ("jpeg", "jpg", "png", "webp"), "cls"
Items = Iterator[tuple[str, int, bytes, tuple]]


class ParquetOptions(Settings):
    files: dict[Split, Names] = Field(description="The row's files of each split, in their order.")
    image: str = Field("image", description="The column of the images.")
    label: str = Field("label", description="The column of the labels.")
    order: Literal["stored", "file", "class-file"] = Field(
        description="The order of a split's images: as stored, by the names of their files, or by "
        "class and then by these."
    )


def read_parquet(files: Files, row: Mapping) -> Items:
    """Read files with a column of image files and one of labels, as `datasets` writes them."""
    options = row["options"]
    for number, (split, names) in enumerate(options["files"].items()):
        for shard, name in enumerate(names):
            for place, (label, image) in enumerate(_parquet_rows(files[name], row)):
                if options["order"] != "stored" and not image["path"]:
                    raise UserError(f"{files[name]}: row {place} has no file name to sort it by")
                key = {
                    "stored": (shard, place),
                    "file": (image["path"],),
                    "class-file": (label, image["path"]),
                }[options["order"]]
                yield split, label, image["bytes"], (number, *key)


def _parquet_rows(path: str, row: Mapping) -> Iterator[tuple[int, dict]]:
    """Yield our label of each row of a file, and its image file with its name if it has one."""
    from pyarrow.parquet import ParquetFile

    columns = [row["options"].get(name, name) for name in ("image", "label")]
    with errors_in_one_line(path), ParquetFile(path) as file:
        for column in columns:
            if column not in file.schema_arrow.names:
                present = ", ".join(file.schema_arrow.names)
                raise UserError(f"{path}: no column {column!r}; found: {present}")
        # `datasets` notes the names of the classes in the schema.
        noted = json.loads((file.schema_arrow.metadata or {}).get(b"huggingface", "{}"))
        feature = noted.get("info", {}).get("features", {}).get(columns[1], {})
        if "names" not in feature:
            raise UserError(f"{path}: names no classes of the column {columns[1]!r}")
        numbers = class_numbers(feature["names"], row["class_names"], path)
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns):
            images, labels = (batch.column(column).to_pylist() for column in columns)
            for image, label in zip(images, labels, strict=True):
                image = {"bytes": image, "path": None} if isinstance(image, bytes) else image
                yield _label(label, numbers, path), image


def _label(number: int, numbers: Mapping[int, int], where: str) -> int:
    if number not in numbers:
        raise UserError(f"{where}: label {number}, expected 0..{len(numbers) - 1}")
    return numbers[number]


class WebdatasetOptions(Settings):
    files: dict[Split, Names] = Field(description="The row's shards of each split.")


def read_webdataset(files: Files, row: Mapping) -> Items:
    """Read tar archives of samples, `s01.webp` and `s01.cls`, sorted by their names."""
    names = files["class-names"]
    numbers = class_numbers(lines(read_file(names), names), row["class_names"], names)
    for place, (split, shards) in enumerate(row["options"]["files"].items()):
        read: set[str] = set()
        for shard in (files[name] for name in shards):
            for name, parts in _samples(shard):
                where = f"{shard}: sample {name!r}"
                if name in read:
                    raise UserError(f"{where} is there twice in {split}")
                read.add(name)
                images = [parts[part] for part in IMAGES if part in parts]
                if len(images) != 1 or LABEL not in parts:
                    raise UserError(
                        f"{where} has the files {', '.join(sorted(parts))}, expected {LABEL} and "
                        f"one of {', '.join(IMAGES)}"
                    )
                with errors_in_one_line(where):
                    number = int(parts[LABEL])
                yield split, _label(number, numbers, where), images[0], (place, name)


def _samples(shard: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the samples of a shard: the name, and the files by what follows its first dot."""
    name, parts = None, {}
    for member in members(shard):
        sample, _, part = file_name(member.name).partition(".")
        if sample != name and parts:
            yield name, parts
            parts = {}
        name = sample
        if part in (*IMAGES, LABEL):
            parts[part] = member.read()
    if parts:
        yield name, parts


SOURCES = {
    "parquet": Source(
        read_parquet,
        lambda options, splits: set().union(*options.files.values()),
        ParquetOptions,
        has_class_names=True,
    ),
    "webdataset": Source(
        read_webdataset,
        lambda options, splits: {"class-names"}.union(*options.files.values()),
        WebdatasetOptions,
        has_class_names=True,
    ),
}
