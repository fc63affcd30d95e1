"""Files of the Hugging Face hub that are no archives of images: parquet, and shards of samples.

Labels follow the names of the classes, not their numbers, which differ between copies of a set.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from pydantic import Field

from negmerge.data.archives import file_name, lines, members, read_file, whole_number
from negmerge.data.sources import Files, Names, Options, Source, Split
from negmerge.errors import UserError, one_line

Contents = Iterator[tuple[str, int, bytes, tuple]]
IMAGES_AT_ONCE = 64
SUFFIXES = ("jpeg", "jpg", "png", "webp")


def class_numbers(names: Sequence[str], expected: Sequence[str], where: str) -> list[int]:
    """Return our number of each class of a file, by its name."""
    ours = {_plain(name): number for number, name in enumerate(expected)}
    theirs = [_plain(name) for name in names]
    for name, plain in zip(names, theirs, strict=True):
        if plain not in ours:
            raise UserError(f"{where}: {name!r} is not a class of the data set in prompts.yaml")
    if missing := sorted(ours.keys() - set(theirs)):
        raise UserError(f"{where}: {len(missing)} classes are missing, such as {missing[0]!r}")
    if not len(set(theirs)) == len(theirs) == len(expected):
        raise UserError(f"{where}: a class name appears twice, so names do not tell the classes")
    return [ours[plain] for plain in theirs]


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\W_]+", name.casefold())).strip()


class ParquetOptions(Options):
    files: dict[Split, Names] = Field(description="The row's files of each split, in their order.")
    image: str = Field("image", description="The column of the images.")
    label: str = Field("label", description="The column of the labels.")
    order: Literal["stored", "file", "class-file"] = Field(
        description="The order of a split's images: as stored, by the names of their files, or by "
        "class and then by these."
    )


def read_parquet(files: Files, row: Mapping) -> Contents:
    """Read a column of image files and one of labels, as the library `datasets` writes them."""
    options = row["options"]
    columns = [options.get("image", "image"), options.get("label", "label")]
    for number, (split, names) in enumerate(options["files"].items()):
        for shard, name in enumerate(names):
            for place, (label, content, file) in enumerate(_items(files[name], columns, row)):
                if options["order"] != "stored" and not file:
                    raise UserError(f"{files[name]}: row {place} has no file name to sort it by")
                keys = {"stored": (shard, place), "file": (file,), "class-file": (label, file)}
                yield split, label, content, (number, *keys[options["order"]])


def _items(
    path: str, columns: Sequence[str], row: Mapping
) -> Iterator[tuple[int, bytes, str | None]]:
    """Yield our label of each row of a file, its image file, and the name of this if it has one."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            # The library `datasets` notes the names of the classes in the schema.
            noted = json.loads(file.schema_arrow.metadata[b"huggingface"])
            names = noted["info"]["features"][columns[1]]["names"]
            labels = class_numbers(names, row["class_names"], path)
            for batch in file.iter_batches(IMAGES_AT_ONCE, columns=list(columns)):
                images, numbers = (batch.column(column).to_pylist() for column in columns)
                for image, number in zip(images, numbers, strict=True):
                    stored = image if isinstance(image, Mapping) else {"bytes": image}
                    label = _label(number, labels, f"{path}: a row")
                    yield label, bytes(stored["bytes"]), stored.get("path")
    except (ArrowException, LookupError, OSError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not a whole parquet file with the columns {', '.join(columns)} and names of "
            f"classes ({type(error).__name__}: {one_line(error):.200})"
        ) from error


def _label(number: object, labels: Sequence[int], where: str) -> int:
    if not isinstance(number, int) or not 0 <= number < len(labels):
        raise UserError(f"{where} has label {number}, expected 0..{len(labels) - 1}")
    return labels[number]


class ShardOptions(Options):
    files: dict[Split, Names] = Field(description="The row's shards of each split.")


def read_shards(files: Files, row: Mapping) -> Contents:
    """Read tar archives of the library `webdataset`, sorted by the names of the samples as text.

    A sample is an image and its label side by side, `s0000001.webp` and `s0000001.cls`, of which
    the latter holds a number from 0. The names of the classes are in a file of their own. Programs
    that write a whole set count the samples of a split, so names tell the original's order.
    """
    names = files["class-names"]
    labels = class_numbers(lines(read_file(names), names), row["class_names"], names)
    for number, (split, shards) in enumerate(row["options"]["files"].items()):
        for shard in (files[name] for name in shards):
            for name, parts in _samples(shard):
                where = f"{shard}: sample {name!r}"
                images = [content for part, content in parts.items() if part in SUFFIXES]
                if len(images) != 1 or "cls" not in parts:
                    raise UserError(
                        f"{where} has the files {', '.join(sorted(parts))}, expected cls and one "
                        f"of {', '.join(SUFFIXES)}"
                    )
                text = " ".join(lines(parts["cls"], where))
                label = _label(whole_number(text, f"{where}: its label"), labels, where)
                yield split, label, images[0], (number, name)


def _samples(shard: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield the samples of a shard: the name, and the files by what follows its first dot."""
    name, parts = None, {}
    for member in members(shard):
        sample, _, part = file_name(member.name).partition(".")
        if sample != name and parts:
            yield name, parts
            parts = {}
        name = sample
        if part in (*SUFFIXES, "cls"):
            parts[part] = member.read()
    if parts:
        yield name, parts


def _files(options: ParquetOptions | ShardOptions, splits: object) -> set[str]:
    return {name for names in options.files.values() for name in names}


SOURCES = {
    "parquet": Source(read_parquet, _files, ParquetOptions, has_class_names=True),
    "webdataset": Source(
        read_shards,
        lambda options, splits: {"class-names"} | _files(options, splits),
        ShardOptions,
        has_class_names=True,
    ),
}
