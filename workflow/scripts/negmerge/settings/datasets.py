"""Rows of `config/datasets.yaml`, and where each data set comes from."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, PositiveInt, PrivateAttr, model_validator
from safetensors import SafetensorError, safe_open

from negmerge import plugins
from negmerge.data.image_lists import ImageList, list_images
from negmerge.data.splits import QUESTION_SPLITS, SPLITS, held_out
from negmerge.errors import UserError, unknown
from negmerge.settings.checks import checked
from negmerge.settings.downloads import FOLDER, Download, Mirror, SourceName, check_source
from negmerge.settings.recipe import FileName, Settings, advanced

# What the files of a row itself are called, beside its mirrors.
ORIGINAL = "original"
# What the prepared file of a data set is called, by what it holds.
PREPARED = {"images": "images.safetensors", "questions": "questions.jsonl"}


class Dataset(Settings):
    """A row of `config/datasets.yaml`."""

    title: str = Field(description="The name for people.")
    source: SourceName = Field(description="The kind of source, see negmerge/data/sources/.")
    files: dict[str, str | Download] = Field(
        {}, description="The source's files by the names it reads: paths, or what to download."
    )
    downloads_of: FileName | None = advanced(
        None, description="The row whose downloads this one uses; null: it has its own."
    )
    options: dict = advanced({}, description="Further settings of the source.")
    splits: dict[str, PositiveInt] = Field(
        {},
        description="How many images or questions each prepared split has; needed, except with the "
        "source `folder`.",
    )
    classes: PositiveInt = Field(
        0, description="Number of classes; needed for images, except with the source `folder`."
    )
    licence: str = Field(description="The terms of use of the images or questions.")
    differs: str | None = advanced(
        None,
        exclude=True,
        description="How your files differ from those of the data set's authors; tables print it. "
        "null: no difference is known.",
    )
    mirrors: list[Mirror] = advanced(
        [],
        description="Other files with the same images. The first one counts if a person would have "
        "to fetch the files above.",
    )

    _listed: ImageList | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _known(self):
        splits = QUESTION_SPLITS if self.has_questions else SPLITS
        for split in self.splits.keys() - set(splits):
            raise ValueError(unknown("split", split, splits))
        self._check_downloads()
        self._check_counts()
        check_source(self.source, self.files, self.options, self.splits)
        return self

    @property
    def has_questions(self) -> bool:
        return plugins.source(self.source).has_questions

    @property
    def prepared(self) -> str:
        return PREPARED["questions" if self.has_questions else "images"]

    @property
    def questions(self) -> Any:
        """The options of a source of questions (`QuestionOptions`), with defaults."""
        return checked("options", plugins.source(self.source).options, self.options)

    @property
    def downloads(self) -> dict[str, Download]:
        """The original's files to download, by their own names."""
        return {f.name: f for f in self.files.values() if isinstance(f, Download)}

    @property
    def all_downloads(self) -> dict[str, Download]:
        """The files to download of the original and of all mirrors, by their own names."""
        mirrored = (file for mirror in self.mirrors for file in mirror.files.values())
        return self.downloads | {file.name: file for file in mirrored}

    def sources_without(self, file: str) -> list[str]:
        """Return what `data_sources` of config.yaml may name if a file cannot be had."""
        used = {ORIGINAL: self.downloads} | {
            mirror.name: [file.name for file in mirror.files.values()] for mirror in self.mirrors
        }
        return [name for name, files in used.items() if file not in files]

    @property
    def parts(self) -> dict[str, int]:
        """The images of each part, with `val` cut from `train` where it is no split."""
        sizes = dict(self.splits)
        if "val" not in sizes and "train" in sizes:
            sizes["val"] = held_out(sizes["train"])
            sizes["train"] -= sizes["val"]
        return sizes

    @property
    def is_counted(self) -> bool:
        """Whether the row leaves its splits and classes to the files, which then list them."""
        return not (self.splits or self.classes)

    @property
    def listed(self) -> ImageList | None:
        return self._listed

    def counted(self, roots: Sequence[Path]) -> "Dataset":
        """Return the row with the splits and classes that its files have."""
        places = {name: _place(str(file), roots) for name, file in self.files.items()}
        listed = list_images(places["images"], places.get("list"))
        row = self.model_copy(update={"splits": listed.counts, "classes": len(listed.classes)})
        row._listed = listed
        return row

    def contents(self, mirror: Mirror | None = None) -> dict:
        """Return what decides the prepared images, which a new title or address does not."""
        row = self.model_dump(exclude={"title", "licence", "downloads_of", "mirrors"})
        if mirror is not None:
            row |= mirror.model_dump()
        if self.has_questions:
            row["options"] = self.questions.model_dump()
        if self._listed:
            row["digest"] = self._listed.digest
        for file in row["files"].values():
            if not isinstance(file, str):
                del file["urls"], file["manual"], file["about_bytes"]
        return row

    def _check_counts(self) -> None:
        if self.source == FOLDER and self.is_counted:
            if self.downloads:
                raise ValueError(
                    f"{', '.join(self.downloads)} is to be downloaded, so nobody has counted it: "
                    "the keys splits and classes are missing"
                )
            return
        for name in ("splits",) if self.has_questions else ("splits", "classes"):
            if not getattr(self, name):
                raise ValueError(f"the key {name} is missing")

    def _check_downloads(self) -> None:
        # Here, since for an error in a union, pydantic reports what is wrong with every other kind.
        own = [file for file in self.files.values() if isinstance(file, Download)]
        for file in own:
            file.check()
        for mirror in self.mirrors:
            mirror.check(self.splits)
        files = [*own, *(file for mirror in self.mirrors for file in mirror.files.values())]
        for names in (
            [file.name for file in files],
            [ORIGINAL, *(mirror.name for mirror in self.mirrors)],
        ):
            for name in names:
                if names.count(name) > 1:
                    raise ValueError(f"two files or two mirrors have the same name: {name}")


class Datasets(dict[str, Dataset]):
    """Rows by name, which count their images when they are first asked for."""

    def __init__(self, rows: Mapping[str, Dataset], roots: Sequence[Path]):
        super().__init__(rows)
        self._roots = roots

    def __getitem__(self, name: str) -> Dataset:
        row = super().__getitem__(name)
        if row.is_counted:
            row = self[name] = row.counted(self._roots)
        return row


def _place(file: str, roots: Sequence[Path]) -> Path:
    """Return the first path at which a file is, or where it is expected."""
    paths = [root / file for root in roots]
    return next((path for path in paths if path.exists()), paths[0])


def choose(
    name: str, rows: Mapping[str, Dataset], data: str | Path, asked: Mapping[str, str] | None = None
) -> Mirror | None:
    """Return the mirror that a data set is made from; None: the original's files."""
    row = rows[name]
    mirrors = {mirror.name: mirror for mirror in row.mirrors}
    wanted = (asked or {}).get(name)
    if wanted not in (None, ORIGINAL, *mirrors):
        where = f"config.yaml: data_sources.{name}"
        raise UserError(f"{where}: {unknown('source', wanted, [ORIGINAL, *mirrors])}")
    if wanted is None and mirrors:
        wanted = prepared_from(Path(data) / name / PREPARED["images"])
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


def differences(rows: Mapping[str, Dataset], mirrors: Mapping[str, Mirror | None]) -> list[str]:
    """Return in what the images of data sets differ from the originals, as far as it is known."""
    names = {name: f"{name} (mirror {m.name})" if m else name for name, m in mirrors.items()}
    differ = {name: mirror or rows[name] for name, mirror in mirrors.items()}
    return [f"{names[name]}: {row.differs}." for name, row in differ.items() if row.differs]


def use_server(address: str | None) -> None:
    """Let a server stand in for the hub, in this process and in those that it starts."""
    if address and "@" in address:
        raise UserError("config.yaml: hub_endpoint holds a password; set HF_ENDPOINT instead")
    if address:
        # The hub's own library knows it under this name.
        os.environ["HF_ENDPOINT"] = address
