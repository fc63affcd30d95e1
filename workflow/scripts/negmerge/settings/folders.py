"""Configuration folders, of which the first goes before the others: the user's, the shipped one."""

from collections.abc import Sequence
from pathlib import Path

Folders = str | Path | Sequence[str | Path]


def in_order(config: Folders) -> list[Path]:
    """Return configuration folders, each once, without those that are not there."""
    folders = [Path(config)] if isinstance(config, str | Path) else [Path(one) for one in config]
    found = {folder.resolve(): folder for folder in reversed(folders) if folder.is_dir()}
    return list(reversed(found.values())) or folders[:1]


def find_file(config: Folders, place: str) -> Path:
    """Return the first file of a name in configuration folders."""
    paths = [folder / place for folder in in_order(config)]
    return next((path for path in paths if path.is_file()), paths[0])
