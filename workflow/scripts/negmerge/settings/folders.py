"""Configuration folders, of which the first goes before the others: the user's, the shipped one."""

from collections.abc import Sequence
from pathlib import Path

Folders = str | Path | Sequence[str | Path]


def in_order(config: Folders) -> list[Path]:
    """Return configuration folders, each once, without those that are not there.

    Args:
        config: one folder, or several, of which the first goes before the others.

    Returns:
        At least one; the first as it was given if none is there.
    """
    folders = [Path(config)] if isinstance(config, str | Path) else [Path(one) for one in config]
    found = {folder.resolve(): folder for folder in reversed(folders) if folder.is_dir()}
    return list(reversed(found.values())) or folders[:1]


def find_file(config: Folders, place: str) -> Path:
    """Return the first file of a name in configuration folders.

    Args:
        config: as above.
        place: the file, relative to the folders.

    Returns:
        Its path; in the first folder where no folder has it.
    """
    paths = [folder / place for folder in in_order(config)]
    return next((path for path in paths if path.is_file()), paths[0])
