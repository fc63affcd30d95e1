"""The rows of data sets: where their files come from, which of them count, and what is in them."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PositiveInt, PrivateAttr, model_validator
from safetensors import SafetensorError, safe_open

from negmerge import plugins
from negmerge.data.image_lists import ImageList, list_images
from negmerge.data.splits import QUESTION_SPLITS, SPLITS, held_out
from negmerge.errors import UserError, unknown
from negmerge.settings.checks import checked
from negmerge.settings.recipe import FileName, Settings, advanced

# A file of the Hugging Face hub, at a revision.
HUB_FILE = re.compile(r"https://(huggingface\.co|hf\.co)/.+/resolve/(?P<revision>[^/]+)/[^/].*")
COMMIT = re.compile("[0-9a-f]{40}")
SECRET = re.compile(r"[?&]([\w-]*(token|signature)|key|sig|password)=", re.IGNORECASE)

# The source of images of one's own, whose splits and classes are counted.
FOLDER = "folder"
# What the files of a row itself are called, beside its mirrors.
ORIGINAL = "original"
# What the prepared file of a data set is called, by what it holds.
PREPARED = {"images": "images.safetensors", "questions": "questions.jsonl"}


def _known_source(name: str) -> str:
    kinds = plugins.names(plugins.SOURCES)
    if name not in kinds:
        raise ValueError(unknown("source", name, kinds))
    return name


SourceName = Annotated[str, AfterValidator(_known_source)]


def check_source(
    name: str, files: Collection[str], options: Mapping, splits: Collection[str]
) -> None:
    """Check files and options of a row against what its source needs."""
    source = plugins.source(name)
    try:
        chosen = checked("options", source.options, options)
    except UserError as error:
        raise ValueError(str(error)) from error
    for file in set(files) - {"images", "list"} if name == FOLDER else ():
        raise ValueError(f"files: {unknown('file', file, ('images', 'list'))}")
    for file in sorted(set(source.files(chosen, splits)) - set(files)):
        raise ValueError(
            f"files: the key {file!r} is missing, which the source {name!r} reads; found: "
            f"{', '.join(files) or 'none'}"
        )


class Download(Settings):
    """A file from the internet, which the workflow fetches, or a person if it cannot."""

    name: FileName = Field(description="The file's name in data/downloads/{dataset}/.")
    urls: list[Annotated[str, Field(pattern="^https?://")]] = Field(
        [],
        description="Addresses of the file: the original first, then others with the same bytes.",
    )
    bytes: PositiveInt | None = Field(None, description="Size; null: not known.")
    about_bytes: PositiveInt | None = advanced(
        None, description="Size as its page rounds it, for estimates; null: `bytes` counts."
    )
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="The checksum; null: not known."
    )
    md5: str | None = advanced(
        None, pattern="^[0-9a-f]{32}$", description="The checksum; null: not known."
    )
    manual: str | None = Field(
        None, description="How a person gets the file; with this, the workflow does not try."
    )

    @property
    def size(self) -> int | None:
        """The bytes to fetch, perhaps rounded; None if they are not known."""
        return self.bytes or self.about_bytes

    def facts(self) -> dict:
        """Return what fetching the file takes, without what is for estimates only."""
        return self.model_dump(exclude={"about_bytes"})

    def check(self) -> None:
        """Check that there is a way to the file, and that it can only be one file."""
        if not (self.urls or self.manual):
            raise ValueError(f"{self.name} has neither `urls` nor `manual`")
        for url in self.urls:
            if "@" in urlsplit(url).netloc or SECRET.search(url):
                raise ValueError(
                    f"{self.name}: an address holds a password or token, which would land in "
                    "records; expected it in HF_TOKEN or HF_ENDPOINT"
                )
            hub = HUB_FILE.fullmatch(url)
            if hub and not COMMIT.fullmatch(hub["revision"]):
                raise ValueError(
                    f"{self.name}: its revision on the hub is {hub['revision']!r}, expected the 40 "
                    "digits of a commit"
                )
        # What a commit of the hub names is one file.
        pinned = self.urls and all(map(HUB_FILE.fullmatch, self.urls))
        if not (self.sha256 or self.md5 or pinned):
            raise ValueError(f"{self.name} has neither `sha256` nor `md5`")


class Mirror(Settings):
    """The images of a data set in files of others, which another source may read."""

    name: FileName = Field(description="Its name, as `data_sources` of config.yaml calls it.")
    source: SourceName = Field(description="The kind of source, see negmerge/data/sources/.")
    files: dict[str, Download] = Field(description="The files, as under `files` of the data set.")
    inside: dict[str, str] = Field(
        {},
        description="If the mirror is one archive of the original's files: where in it each file is"
        " that the source reads.",
    )
    options: dict = Field(
        {}, description="Settings of the source, as under `options` of the data set."
    )
    differs: str | None = Field(
        None, description="How the images differ from the original's; tables print it. null: no "
"difference is known."
    )  # fmt: skip

    @model_validator(mode="after")
    def _one_archive(self):
        if self.inside and len(self.files) != 1:
            raise ValueError(f"`inside` is of one archive, but there are {len(self.files)} files")
        if any(file.manual for file in self.files.values()):
            raise ValueError("a mirror's files are fetched: expected no `manual`")
        return self

    def check(self, splits: Collection[str]) -> None:
        try:
            for file in self.files.values():
                file.check()
            check_source(self.source, self.inside or self.files, self.options, splits)
        except ValueError as error:
            raise ValueError(f"mirror {self.name}: {error}") from error


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
