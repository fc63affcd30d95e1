"""From which files the images of a data set are made: the original's, or a mirror's.

The original's files count unless a person would have to fetch one of them that is not there. Then
the first mirror counts. A set that has been prepared stays with what it was made from, so neither
deleting downloads nor adding some prepares it anew; `config.yaml` can say which files count.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from negmerge.errors import UserError, unknown
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.datasets import ORIGINAL, Mirror

MOST_HEADER_BYTES = 10_000_000


def choose(
    name: str, known: Catalogue, data: str | Path, asked: Mapping[str, str] | None = None
) -> Mirror | None:
    """Return the mirror from which a data set is made; None: from the original's files."""
    row = known.datasets[name]
    mirrors = {mirror.name: mirror for mirror in row.mirrors}
    wanted = (asked or {}).get(name)
    if wanted not in (None, ORIGINAL, *mirrors):
        where = f"config.yaml: data_sources.{name}"
        raise UserError(f"{where}: {unknown('source', wanted, [ORIGINAL, *mirrors])}")
    if wanted is None and mirrors:
        wanted = prepared_from(Path(data) / name / "images.safetensors")
    if wanted is None and mirrors:
        folder = Path(data) / "downloads" / (row.downloads_of or name)
        manual = [file.name for file in row.downloads.values() if file.manual]
        there = all((folder / file).is_file() for file in manual)
        wanted = ORIGINAL if there else next(iter(mirrors))
    return mirrors.get(wanted)


def differences(mirrors: Mapping[str, Mirror | None]) -> list[str]:
    """Tell in what the images of data sets differ from the originals, as far as it is known."""
    return [
        f"{name} (mirror {mirror.name}): {mirror.differs}."
        for name, mirror in mirrors.items()
        if mirror is not None and mirror.differs
    ]


def prepared_from(images: Path) -> str | None:
    """Return from what a prepared set was made: `original` or a mirror; None: there is none."""
    try:
        with open(images, "rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(size, MOST_HEADER_BYTES)))
        return header["__metadata__"].get("mirror", ORIGINAL)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
