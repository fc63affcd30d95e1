"""Rows of data sets, models and prompts in `config/`."""

from dataclasses import dataclass
from typing import TypeVar

from pydantic import Field, model_validator

from negmerge import plugins
from negmerge.errors import UserError, find, unknown
from negmerge.settings.datasets import Dataset, Datasets
from negmerge.settings.downloads import Download, Mirror
from negmerge.settings.load import Folders, find_file, in_order, read_yaml
from negmerge.settings.models import Model
from negmerge.settings.recipe import FileName, Settings

Row = TypeVar("Row", bound=Settings)


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


# The files of rows in a configuration folder, without .yaml, and what is in them.
FILES = {
    "datasets": dict[FileName, Dataset],
    "models": dict[str, Model],
    "prompts": dict[str, Prompts],
}


@dataclass(frozen=True)
class Catalogue:
    """All rows by name."""

    datasets: Datasets
    models: dict[str, Model]
    prompts: dict[str, Prompts]

    def contents(self, name: str, mirror: Mirror | None = None) -> dict:
        """Return what decides the prepared images of a data set, read from a mirror or not."""
        contents = self.datasets[name].contents(mirror)
        if plugins.source(contents["source"]).has_class_names:
            contents["class_names"] = self.prompts[name].classes
        return contents

    def downloads(self, folder: str) -> dict[str, Download]:
        """Return the files that are fetched for a data set or a model, by name."""
        if folder in self.models and (file := self.models[folder].download):
            return {file.name: file}
        return find("data set", folder, self.datasets).all_downloads

    def by_hand(self, folder: str) -> list[dict]:
        """List the files in a folder of downloads that a person has to fetch."""
        sharing = {
            n: row.downloads for n, row in self.datasets.items() if folder in (n, row.downloads_of)
        }
        files = {name: file for row in sharing.values() for name, file in row.items()}
        users = {name: [n for n, row in sharing.items() if name in row] for name in files}
        return [
            file.facts()
            | {"only_for": ", ".join(users[name]) if len(users[name]) < len(sharing) else ""}
            for name, file in files.items()
            if file.manual
        ]

    def fetched(self, record: str) -> Model:
        """Return the row of weights of others, by the name of their record."""
        if record in self.models:
            return self.models[record]
        name, _, task = record.rpartition(".")
        row = find("model", name or record, self.models)
        return row.model_copy(update={"hub": find("task", task, row.retrained)})

    def class_names(self, dataset: str) -> list[str]:
        """Return the names of a data set's classes in the order of the labels."""
        listed = self.datasets[dataset].listed
        return listed.classes if listed else self.prompts[dataset].classes


def load_catalogue(config: Folders) -> Catalogue:
    """Read the three files of rows in configuration folders."""
    datasets, models, prompts = (
        _rows(config, f"{name}.yaml", rows) for name, rows in FILES.items()
    )
    for name, row in datasets.items():
        if row.downloads_of is not None and row.downloads_of not in datasets:
            raise UserError(
                f"{find_file(config, 'datasets.yaml')}: {name}.downloads_of: "
                f"{unknown('data set', row.downloads_of, datasets)}"
            )
        named = len(prompts[name].classes) if name in prompts else 0
        if named != row.classes and not row.is_counted:
            raise UserError(
                f"{find_file(config, 'prompts.yaml')}: {name} has {named} class names, its row in "
                f"datasets.yaml expects {row.classes}"
            )
    roots = [folder.parent for folder in in_order(config)]
    return Catalogue(Datasets(datasets, roots), models, prompts)


def _rows(config: Folders, name: str, model: type[dict[str, Row]]) -> dict[str, Row]:
    """Return the rows of all files of a name, of which one must be there."""
    paths = [folder / name for folder in in_order(config)]
    files = [path for path in paths if path.is_file()] or paths[:1]
    return {name: row for path in reversed(files) for name, row in read_yaml(path, model).items()}
