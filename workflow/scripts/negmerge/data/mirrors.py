"""From which files the images of a data set are made: the original's, or a mirror's.

The original's files count unless a person would have to fetch one of them that is not there. Then
the first mirror counts. A set that has been prepared stays with what it was made from, so neither
deleting downloads nor adding some prepares it anew; `config.yaml` can say which files count.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from negmerge.errors import UserError, unknown
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.datasets import ORIGINAL, Mirror


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
        are_there = all((folder / file).is_file() for file in manual)
        wanted = ORIGINAL if are_there else next(iter(mirrors))
    return mirrors.get(wanted)


def prepared_from(images: Path) -> str | None:
    """Return from what a prepared set was made: `original` or a mirror; None: there is none."""
    try:
        with safe_open(str(images), "numpy") as file:
            return (file.metadata() or {}).get("mirror", ORIGINAL)
    except (OSError, SafetensorError):
        return None


def differences(mirrors: Mapping[str, Mirror | None]) -> list[str]:
    """Return in what the images of data sets differ from the originals, as far as it is known."""
    return [
        f"{name} (mirror {mirror.name}): {mirror.differs}."
        for name, mirror in mirrors.items()
        if mirror is not None and mirror.differs
    ]


def use_server(address: str | None) -> None:
    """Let a server stand in for the hub, in this process and in those that it starts."""
    if address and "@" in address:
        raise UserError("config.yaml: hub_endpoint holds a password; set HF_ENDPOINT instead")
    if address:
        # The hub's own library knows it under this name.
        os.environ["HF_ENDPOINT"] = address
