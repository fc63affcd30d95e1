"""Shards as the library `webdataset` writes them: tar archives with the files of a sample together.

A sample is an image and its label, `s0000001.webp` and `s0000001.cls`, of which the latter holds a
number from 0. The names of the classes, in the order of these numbers, are in a file of their own.
Programs that write a whole data set count the samples of a split, so that their names tell the
order in which the original's reader gave them.
"""

from collections.abc import Iterator, Mapping

from negmerge.data.archives import file_name, members, read_file
from negmerge.data.tables import class_numbers, lines, whole_number
from negmerge.errors import UserError

IMAGES = ("jpeg", "jpg", "png", "webp")
LABEL = "cls"


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, bytes, tuple]]:
    """Read the shards of each split, sorted by the names of the samples as text."""
    names = files["class-names"]
    numbers = class_numbers(lines(read_file(names), names), row["class_names"], names)
    for place, (split, shards) in enumerate(row["options"]["files"].items()):
        found: set[str] = set()
        for shard in (files[name] for name in shards):
            for name, parts in _samples(shard):
                if name in found:
                    raise UserError(f"{shard}: there are two samples {name!r} in {split}")
                found.add(name)
                image, label = _image_and_label(parts, f"{shard}: sample {name!r}")
                if label >= len(numbers):
                    raise UserError(
                        f"{shard}: sample {name!r} has label {label}, expected "
                        f"0..{len(numbers) - 1}"
                    )
                yield split, numbers[label], image, (place, name)


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


def _image_and_label(parts: Mapping[str, bytes], where: str) -> tuple[bytes, int]:
    images = [content for part, content in parts.items() if part in IMAGES]
    if len(images) != 1 or LABEL not in parts:
        raise UserError(
            f"{where} has the files {', '.join(sorted(parts))}, expected {LABEL} and one of "
            f"{', '.join(IMAGES)}"
        )
    label = " ".join(lines(parts[LABEL], where))
    return images[0], whole_number(label, f"{where}: its label")
