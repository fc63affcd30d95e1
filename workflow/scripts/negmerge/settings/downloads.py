"""Files of a data set from the internet, and mirrors: other files with the same images."""

import re
from collections.abc import Collection
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, PositiveInt, field_validator, model_validator

from negmerge import plugins
from negmerge.errors import unknown
from negmerge.settings import sources
from negmerge.settings.recipe import FileName, Settings

# A file of the Hugging Face hub, at a revision.
HUB_FILE = re.compile(r"https://(huggingface\.co|hf\.co)/.+/resolve/(?P<revision>[^/]+)/[^/].*")
COMMIT = re.compile("[0-9a-f]{40}")
SECRET = re.compile(r"[?&]([\w-]*(token|signature)|key|sig|password)=", re.IGNORECASE)


class Download(Settings):
    """A file from the internet, which the workflow fetches, or a person if it cannot."""

    name: FileName = Field(description="The file's name in data/downloads/{dataset}/.")
    urls: list[Annotated[str, Field(pattern="^https?://")]] = Field(
        [], description="Where to get it: the original first, then mirrors with the same bytes."
    )
    bytes: PositiveInt | None = Field(None, description="Size; null: not known.")
    about_bytes: PositiveInt | None = Field(
        None, description="Size as its page rounds it, for estimates; null: `bytes` counts."
    )
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="null: not known.")
    md5: str | None = Field(None, pattern="^[0-9a-f]{32}$", description="null: not known.")
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
        """Check that there is a way to the file, and that it can only be one file.

        Raises:
            ValueError: there are neither addresses nor a person; an address has a password; one of
                the hub names no commit; or nothing says which file it is.
        """
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
    source: str = Field(description="The kind of source: a file in negmerge/data/sources/.")
    files: dict[str, Download] = Field(description="As `files` of the data set.")
    inside: dict[str, str] = Field(
        {},
        description="Where in the mirror's one archive each file is that the source reads, where "
        "it holds the original's files.",
    )
    options: dict = Field({}, description="As `options` of the data set.")
    differs: str | None = Field(
        None, description="In what the images differ from the original's, for tables; null: in "
        "nothing that is known."
    )  # fmt: skip

    @field_validator("source")
    @classmethod
    def _known(cls, source):
        kinds = plugins.names(plugins.SOURCES)
        if source not in kinds:
            raise ValueError(unknown("source", source, kinds))
        return source

    @model_validator(mode="after")
    def _one_archive(self):
        if self.inside and len(self.files) != 1:
            raise ValueError(f"`inside` is of one archive, but there are {len(self.files)} files")
        if any(file.manual for file in self.files.values()):
            raise ValueError("a mirror's files are fetched: expected no `manual`")
        return self

    def check(self, splits: Collection[str]) -> None:
        """Check files and options against what the source needs for some splits.

        Raises:
            ValueError: as `Download.check` and `sources.check`; the message names the mirror.
        """
        try:
            for file in self.files.values():
                file.check()
            sources.check(self.source, self.inside or self.files, self.options, splits)
        except ValueError as error:
            raise ValueError(f"mirror {self.name}: {error}") from error
