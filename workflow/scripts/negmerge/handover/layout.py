"""Where the files of a study stand in an archive, which is an RO-Crate, and what else it says.

    ro-crate-metadata.json       every file with its size and SHA-256, and how each was made
    handover.json                for which study and code the archive is, see `About`
    Snakefile                    the workflow, to read; `unpack` leaves it there
    config/                      the study's file, those that it extends, and the rows it names
    results/STUDY/               what `Contents` chose
    data/                        records and times of the data, and images if they were asked for

What the configuration calls the folder of data is called `data` in an archive.
"""

from dataclasses import dataclass

from pydantic import Field

from negmerge.settings.recipe import FileName, Settings

CRATE, ABOUT, WORKFLOW = "ro-crate-metadata.json", "handover.json", "Snakefile"
DATA, CONFIG, RESULTS = "data", "config", "results"
FORMAT = 1


class About(Settings):
    """For what an archive is, in `handover.json`."""

    format: int = Field(description="Of the archive.")
    study: FileName = Field(description="The study.")
    version: str = Field(description="Of the workflow.")
    commit: str | None = Field(description="Of the workflow, where git knows it.")
    code: str = Field(description="SHA-256 of the library's files.")
    sources: dict[str, str] = Field(
        description="Data sets that have mirrors -> from what their images were made."
    )
    left_out: dict[str, str] = Field(
        description="Files that the study has, and the archive has not -> their SHA-256."
    )
    snakemake: dict[str, dict] = Field(
        description="Packed files -> what Snakemake knows of how they were made."
    )


@dataclass(frozen=True)
class Packed:
    """A file in an archive: its place, size and SHA-256."""

    place: str
    bytes: int
    sha256: str


def renamed(text: str, old: str, new: str) -> str:
    """Return JSON in which the folder of data has another name at the start of paths."""
    return text.replace(f'"{old}/', f'"{new}/')
