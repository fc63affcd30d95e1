"""The files of a data set's row: what its source reads, what is downloaded, and mirrors of it."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from negmerge import plugins
from negmerge.errors import UserError, unknown
from negmerge.settings.checks import checked
from negmerge.settings.recipe import FileName, Settings, advanced

# A file of the Hugging Face hub, at a revision.
HUB_FILE = re.compile(r"https://(huggingface\.co|hf\.co)/.+/resolve/(?P<revision>[^/]+)/[^/].*")
COMMIT = re.compile("[0-9a-f]{40}")
SECRET = re.compile(r"[?&]([\w-]*(token|signature)|key|sig|password)=", re.IGNORECASE)

# The source of images of one's own, whose splits and classes are counted.
FOLDER = "folder"


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
