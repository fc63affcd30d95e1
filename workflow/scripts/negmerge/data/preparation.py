"""Bringing a data set into the one form that all later steps read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from negmerge import plugins
from negmerge.data.archives import places
from negmerge.data.checksums import verify_all
from negmerge.data.images import write_images
from negmerge.data.progress import counted
from negmerge.data.questions import write_questions
from negmerge.errors import UserError

# Packages that not everybody needs, and the extras that bring them.
EXTRAS = {"pyarrow": "parquet"}


def prepare(name: str, row: Mapping, paths: Sequence[str], target: str | Path) -> None:
    """Read the files of a data set, or of a mirror of it, and write its images or questions."""
    files, splits = dict(zip(row["files"], paths, strict=True)), row["splits"]
    verify_all(files, row["files"])
    try:
        source = plugins.load(plugins.SOURCES, row["source"])
    except ModuleNotFoundError as error:
        raise UserError(
            f"{name}: the source {row['source']!r} needs {error.name}, which is not installed: "
            f"pip install 'negmerge[{EXTRAS.get(error.name, 'workflow')}]'"
        ) from error
    items = source.read(places(files, row.get("inside")), row)
    if row.get("form") == "questions":
        write_questions(target, items, splits)
        return
    notes = {"mirror": row["name"], "differs": row["differs"] or ""} if "name" in row else {}
    write_images(target, counted(name, items, sum(splits.values())), splits, row["classes"], notes)
