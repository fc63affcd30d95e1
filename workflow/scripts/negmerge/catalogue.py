"""Data sets, models and prompts: rows of data in `config/`, read and checked here."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, PositiveInt, model_validator

from negmerge import plugins
from negmerge.data.splits import SPLITS
from negmerge.errors import UserError, unknown
from negmerge.recipe import Settings
from negmerge.yaml_files import read_yaml


class Dataset(Settings):
    """A row of `config/datasets.yaml`."""

    title: str = Field(description="The name for people.")
    source: str = Field(description="The kind of source: a file in negmerge/data/sources/.")
    files: dict[str, str] = Field({}, description="The source's files by the names it reads.")
    options: dict = Field({}, description="What else the source needs to know.")
    splits: dict[str, PositiveInt] = Field(description="Images in each prepared split.")
    classes: PositiveInt = Field(description="Number of classes.")
    licence: str = Field(description="Under which terms the images may be used.")

    @model_validator(mode="after")
    def _known(self):
        kinds = plugins.names(plugins.SOURCES)
        if self.source not in kinds:
            raise ValueError(unknown("source", self.source, kinds))
        for split in self.splits:
            if split not in SPLITS:
                raise ValueError(unknown("split", split, SPLITS))
        return self


class Model(Settings):
    """A row of `config/models.yaml`."""

    title: str = Field(description="The name for people.")
    architecture: str | dict = Field(
        description="A name of open_clip, or a configuration in open_clip's form."
    )
    weights: str = Field(
        description="open_clip's tag of trained weights, or `pretrain`: the workflow trains it."
    )
    size: PositiveInt = Field(description="Side of the images in pixels.")
    mean: list[float] = Field(min_length=3, max_length=3, description="Channel means, 0..1.")
    std: list[float] = Field(min_length=3, max_length=3, description="Standard deviations.")


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


@dataclass(frozen=True)
class Catalogue:
    """All rows by name."""

    datasets: dict[str, Dataset]
    models: dict[str, Model]
    prompts: dict[str, Prompts]


def load_catalogue(folder: str | Path) -> Catalogue:
    """Read the three files of rows in a configuration folder.

    Raises:
        UserError: a file is missing, a row is wrong, or a data set and its prompts do not have the
            same number of classes.
    """
    folder = Path(folder)
    datasets = read_yaml(folder / "datasets.yaml", dict[str, Dataset])
    models = read_yaml(folder / "models.yaml", dict[str, Model])
    prompts = read_yaml(folder / "prompts.yaml", dict[str, Prompts])
    for name, row in datasets.items():
        found = len(prompts[name].classes) if name in prompts else 0
        if found != row.classes:
            raise UserError(
                f"{folder / 'prompts.yaml'}: {name} has {found} class names, its row in "
                f"datasets.yaml expects {row.classes}"
            )
    return Catalogue(datasets, models, prompts)
