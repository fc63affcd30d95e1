"""Bringing a data set into the one form that all later steps read."""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from negmerge.data.archives import places
from negmerge.data.checksums import verify
from negmerge.data.images import write_images
from negmerge.data.progress import counted
from negmerge.data.questions import write_questions
from negmerge.data.sources import Source, known_sources
from negmerge.errors import UserError, one_line

# Packages that not everybody needs, and the extras that bring them.
EXTRAS = {"pyarrow": "parquet"}


def prepare(name: str, row: Mapping, paths: Sequence[str], target: str | Path) -> None:
    """Read the files of a data set, or of a mirror of it, and write its images or questions."""
    files, splits = dict(zip(row["files"], paths, strict=True)), row["splits"]
    for key, file in row["files"].items():
        if not isinstance(file, str):
            verify(files[key], file)
    source = known_sources()[row["source"]]
    items = _read(name, source, places(files, row.get("inside")), row)
    if source.has_questions:
        write_questions(target, items, splits)
        return
    notes = {"mirror": row["name"], "differs": row["differs"] or ""} if "name" in row else {}
    items = counted(name, items, sum(splits.values()), unit=" images")
    write_images(target, items, splits, row["classes"], notes)


def _read(name: str, source: Source, files: Mapping[str, str], row: Mapping) -> Iterator:
    """Read the items of a source; files without a checksum may hold anything."""
    try:
        yield from source.read(files, row)
    except UserError:
        raise
    except ModuleNotFoundError as error:
        raise UserError(
            f"{name}: the source {row['source']!r} needs {error.name}, which is not installed: "
            f"pip install 'negmerge[{EXTRAS.get(error.name, 'workflow')}]'"
        ) from error
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"{name}: not what the source {row['source']!r} reads: {', '.join(files.values())} "
            f"({type(error).__name__}: {one_line(error):.200}, {place.filename}:{place.lineno})"
        ) from error
