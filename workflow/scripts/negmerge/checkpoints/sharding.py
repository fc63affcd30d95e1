"""How a large state is cut into files, named and listed as the Hugging Face hub does."""

import re
from collections.abc import Iterable, Mapping, Sequence

from negmerge.checkpoints.writer import Layout
from negmerge.errors import UserError

# Decimal, as the hub's own splitter counts.
UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
LARGEST = "5GB"


def read_size(text: str) -> int:
    """Return the bytes of a size such as 5GB or 500MB, in decimal units."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B)", text.strip().upper())
    size = int(float(found[1]) * UNITS[found[2]]) if found else 0
    if not size:
        raise UserError(f"the size {text!r} of a shard is not one such as 5GB or 500MB")
    return size


def split(
    tensors: Mapping[str, Layout], together: Iterable[Sequence[str]], limit: int | None
) -> list[list[str]]:
    """Cut a state into shards of at most `limit` bytes, and return the names of each.

    Tensors of a group `together` lie in one shard, which alone may exceed the limit.
    """
    followers = {group[0]: list(group[1:]) for group in together}
    led = {name for names in followers.values() for name in names}
    shards: list[list[str]] = [[]]
    size = 0
    for name in tensors:
        if name in led:
            continue
        group = [name, *followers.get(name, ())]
        bytes_ = sum(tensors[one].bytes for one in group)
        if limit is not None and shards[-1] and size + bytes_ > limit:
            shards.append([])
            size = 0
        shards[-1] += group
        size += bytes_
    return shards


def file_names(stem: str, count: int) -> list[str]:
    """Return the names of the files of a state, such as model-00001-of-00002.safetensors."""
    if count == 1:
        return [f"{stem}.safetensors"]
    return [f"{stem}-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)]


def index(tensors: Mapping[str, Layout], shards: Mapping[str, Sequence[str]]) -> dict:
    """Return the index of shards (file -> names)."""
    places = {name: file for file, names in shards.items() for name in names}
    size = sum(tensor.bytes for tensor in tensors.values())
    return {
        "metadata": {"total_size": size},
        "weight_map": {name: places[name] for name in sorted(places)},
    }
