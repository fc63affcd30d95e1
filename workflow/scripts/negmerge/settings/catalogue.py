"""Data sets, models and prompts: rows of data in `config/`, read and checked here."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, PositiveInt, PrivateAttr, model_validator

from negmerge import plugins
from negmerge.errors import UserError, unknown
from negmerge.image_lists import ImageList, list_images
from negmerge.settings import sources
from negmerge.settings.downloads import Download, Mirror
from negmerge.settings.recipe import FileName, NonNegative, Positive, Settings
from negmerge.settings.yaml12 import read_yaml
from negmerge.splits import SPLITS

# What the files of a row itself are called, beside its mirrors.
ORIGINAL = "original"


class Dataset(Settings):
    """A row of `config/datasets.yaml`."""

    title: str = Field(description="The name for people.")
    source: str = Field(description="The kind of source: a file in negmerge/data/sources/.")
    files: dict[str, str | Download] = Field(
        {}, description="The source's files by the names it reads: paths, or what to download."
    )
    downloads_of: FileName | None = Field(
        None, description="The row whose downloads this one uses; null: it has its own."
    )
    options: dict = Field({}, description="What else the source needs to know.")
    splits: dict[str, PositiveInt] = Field(
        {}, description="Images in each prepared split; needed, but not of `folder`."
    )
    classes: PositiveInt = Field(0, description="Number of classes; needed, but not of `folder`.")
    licence: str = Field(description="The terms of use of the images.")
    mirrors: list[Mirror] = Field(
        [],
        description="Other files with the images, in the order in which they stand in for files "
        "that a person would have to fetch.",
    )

    _listed: ImageList | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _known(self):
        kinds = plugins.names(plugins.SOURCES)
        if self.source not in kinds:
            raise ValueError(unknown("source", self.source, kinds))
        for split in self.splits:
            if split not in SPLITS:
                raise ValueError(unknown("split", split, SPLITS))
        self._check_downloads()
        self._check_counts()
        sources.check(self.source, self.files, self.options, self.splits)
        return self

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
            mirror.name: [one.name for one in mirror.files.values()] for mirror in self.mirrors
        }
        return [name for name, files in used.items() if file not in files]

    @property
    def is_counted(self) -> bool:
        """Whether the row leaves its splits and classes to the files, which then list them."""
        return not (self.splits or self.classes)

    @property
    def listed(self) -> ImageList | None:
        """The images that were counted, if they were."""
        return self._listed

    def counted(self, root: Path) -> "Dataset":
        """Return the row with the splits and classes that its files have.

        Args:
            root: where relative paths start.

        Raises:
            UserError: as `image_lists.list_images`.
        """
        places = {name: root / str(file) for name, file in self.files.items()}
        found = list_images(places["images"], places.get("list"))
        row = self.model_copy(update={"splits": found.counts, "classes": len(found.classes)})
        row._listed = found
        return row

    def contents(self, mirror: Mirror | None = None) -> dict:
        """Return what decides the prepared images, which a new title or address does not.

        Args:
            mirror: one of the row's, whose files are read in place of the original's.
        """
        row = self.model_dump(exclude={"title", "licence", "downloads_of", "mirrors"})
        if mirror is not None:
            row |= mirror.model_dump()
        if self._listed:
            row["digest"] = self._listed.digest
        for file in row["files"].values():
            if not isinstance(file, str):
                del file["urls"], file["manual"], file["about_bytes"]
        return row

    def _check_counts(self) -> None:
        if self.source == sources.FOLDER and self.is_counted:
            if self.downloads:
                raise ValueError(
                    f"{', '.join(self.downloads)} is to be downloaded, so nobody has counted it: "
                    "the keys splits and classes are missing"
                )
            return
        for name in ("splits", "classes"):
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
        for what, names in {
            "files": [file.name for file in files],
            "sources": [ORIGINAL, *(mirror.name for mirror in self.mirrors)],
        }.items():
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two {what} have the same name: {', '.join(twice)}")


class Hub(Settings):
    """A file of weights on the Hugging Face hub. What is left out, the first fetch records."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="Owner and name.")
    revision: str | None = Field(
        None, pattern="^[0-9a-f]{40}$", description="The commit; null: the newest at first."
    )
    file: FileName = Field(description="The file's name.")
    bytes: PositiveInt | None = Field(None, description="Size; null: not known.")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="null: not known.")


class Cost(Settings):
    """How large a model is, for estimates."""

    gflop: Positive = Field(description="Billion operations of one image forward.")
    megabytes: Positive = Field(description="Of what is fine-tuned: image encoder or classifier.")
    text_gflop: NonNegative = Field(0, description="Billion operations of one prompt.")
    text_megabytes: NonNegative = Field(0, description="Of CLIP's text part.")


class Model(Settings):
    """A row of `config/models.yaml`."""

    title: str = Field(description="The name for people.")
    architecture: str | dict = Field(
        description="A name of open_clip, or a configuration in open_clip's form; of a classifier "
        "its `kind` and the options of `negmerge.models.classifiers`."
    )
    weights: str = Field(
        description="open_clip's tag of trained weights, or the path of a file of them, or "
        "`pretrain`: the workflow trains it."
    )
    hub: Hub | None = Field(
        None, description="Where to find trained weights; null: where open_clip or timm has them."
    )
    size: PositiveInt = Field(description="Side of the images in pixels.")
    mean: list[float] = Field(min_length=3, max_length=3, description="Channel means, 0..1.")
    std: list[float] = Field(min_length=3, max_length=3, description="Standard deviations.")
    cost: Cost | None = Field(
        None, exclude=True, description="How large it is; null: not known, see config/costs.yaml."
    )

    @model_validator(mode="after")
    def _activation_of_openai(self):
        # With another activation the weights load, and every accuracy is some points too low.
        if self.weights == "openai" and not str(self.architecture).endswith("-quickgelu"):
            raise ValueError(
                "the openai weights need QuickGELU, but the architecture is "
                f"{self.architecture!r}: expected one that ends in -quickgelu"
            )
        return self

    @model_validator(mode="after")
    def _hub_of_others(self):
        if self.hub and not self.is_fetched:
            raise ValueError(
                f"`hub` names {self.hub.repository}, but the workflow trains the model: expected "
                "a tag as `weights`, or `pretrained: true` in `architecture`"
            )
        return self

    @property
    def is_fetched(self) -> bool:
        """Whether others have trained it, so that its weights come from the internet."""
        options = {} if isinstance(self.architecture, str) else self.architecture
        return self.weights != "pretrain" or bool(options.get("pretrained"))

    @property
    def scenario(self) -> str:
        """The scenario that the model fits."""
        own = isinstance(self.architecture, dict) and "kind" in self.architecture
        return "classifier" if own else "zero-shot"


class Prompts(Settings):
    """A row of `config/prompts.yaml`."""

    templates: list[str] = Field(min_length=1, description="Prompts; {} is the class name.")
    classes: list[str] = Field(min_length=2, description="Class names in the order of the labels.")

    @model_validator(mode="after")
    def _placeholders(self):
        for template in self.templates:
            if "{}" not in template:
                raise ValueError(f"template {template!r} has no {{}} for the class name")
        return self


class Datasets(dict[str, Dataset]):
    """Rows by name, which count their images when they are first asked for.

    So a row that no study needs may name a folder that is not there.

    Args:
        rows: by name.
        root: where relative paths start.
    """

    def __init__(self, rows: Mapping[str, Dataset], root: Path):
        super().__init__(rows)
        self._root = root

    def __getitem__(self, name: str) -> Dataset:
        """Return a row, with splits and classes."""
        row = super().__getitem__(name)
        if row.is_counted:
            row = self[name] = row.counted(self._root)
        return row


@dataclass(frozen=True)
class Catalogue:
    """All rows by name."""

    datasets: Datasets
    models: dict[str, Model]
    prompts: dict[str, Prompts]

    def contents(self, name: str, mirror: Mirror | None = None) -> dict:
        """Return what decides the prepared images of a data set, read from a mirror or not."""
        found = self.datasets[name].contents(mirror)
        if found["source"] in sources.NAMED:
            found["class_names"] = self.prompts[name].classes
        return found

    def by_hand(self, folder: str) -> list[dict]:
        """List the files in a folder of downloads that a person has to fetch.

        Returns:
            A `Download` as a dictionary each; `only_for` names the rows that need it, and is empty
            where all rows that share the folder do.
        """
        sharing = {
            n: row.downloads for n, row in self.datasets.items() if folder in (n, row.downloads_of)
        }
        files = {name: file for found in sharing.values() for name, file in found.items()}
        users = {name: [n for n, found in sharing.items() if name in found] for name in files}
        return [
            file.facts()
            | {"only_for": ", ".join(users[name]) if len(users[name]) < len(sharing) else ""}
            for name, file in files.items()
            if file.manual
        ]

    def class_names(self, dataset: str) -> list[str]:
        """Return the names of a data set's classes in the order of the labels."""
        listed = self.datasets[dataset].listed
        return listed.classes if listed else self.prompts[dataset].classes

    def of_scenario(self, scenario: str) -> dict[str, Model]:
        """The models that fit a scenario."""
        return {name: row for name, row in self.models.items() if row.scenario == scenario}


def load_catalogue(folder: str | Path) -> Catalogue:
    """Read the three files of rows in a configuration folder.

    Raises:
        UserError: a file is missing, a row is wrong, or a data set and its prompts do not have the
            same number of classes.
    """
    folder = Path(folder)
    datasets = read_yaml(folder / "datasets.yaml", dict[FileName, Dataset])
    models = read_yaml(folder / "models.yaml", dict[str, Model])
    prompts = read_yaml(folder / "prompts.yaml", dict[str, Prompts])
    for name, row in datasets.items():
        if row.downloads_of is not None and row.downloads_of not in datasets:
            raise UserError(
                f"{folder / 'datasets.yaml'}: {name}.downloads_of: "
                f"{unknown('data set', row.downloads_of, datasets)}"
            )
        found = len(prompts[name].classes) if name in prompts else 0
        if found != row.classes and not row.is_counted:
            raise UserError(
                f"{folder / 'prompts.yaml'}: {name} has {found} class names, its row in "
                f"datasets.yaml expects {row.classes}"
            )
    return Catalogue(Datasets(datasets, folder.parent), models, prompts)
