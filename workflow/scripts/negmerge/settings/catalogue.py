"""Data sets, models and prompts: rows of data in `config/`, read and checked here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from negmerge.errors import UserError, unknown
from negmerge.settings import sources
from negmerge.settings.datasets import Dataset, Datasets
from negmerge.settings.downloads import Mirror
from negmerge.settings.recipe import FileName, NonNegative, Positive, Settings
from negmerge.settings.yaml12 import read_yaml

Channels = Annotated[list[float], Field(min_length=3, max_length=3)]


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


class Tokenizer(Settings):
    """How the workflow makes the tokenizer of a language model, from the texts of its study."""

    kind: Literal["words", "byte-pairs"] = Field(
        description="words: a token for each word and punctuation mark; byte-pairs: bytes that "
        "often follow one another."
    )
    size: PositiveInt = Field(description="The largest number of tokens.")
    special: list[str] = Field(
        ["<question>", "<answer>"], description="Tokens of their own, for the prompt."
    )


class Model(Settings):
    """A row of `config/models.yaml`."""

    title: str = Field(description="The name for people.")
    architecture: str | dict = Field(
        description="A name of open_clip, or a configuration in open_clip's form; of a classifier "
        "or language model its `kind`, and the options of `negmerge.models.classifiers` or of "
        "transformers' configuration."
    )
    weights: str = Field(
        description="open_clip's tag of trained weights, or the path of a file of them, or "
        "`pretrain`: the workflow trains it."
    )
    hub: Hub | None = Field(
        None, description="Where to find trained weights; null: where open_clip or timm has them."
    )
    size: PositiveInt = Field(
        description="Side of the images in pixels; of a language model the longest text in tokens."
    )
    mean: Channels | None = Field(None, description="Channel means, 0..1; needed for images.")
    std: Channels | None = Field(None, description="Standard deviations; needed for images.")
    tokenizer: Tokenizer | None = Field(None, description="That of a language model.")
    prompt: str = Field(
        "<question>{question}<answer>",
        description="What a language model reads before it answers; {question} is the question.",
    )
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
    def _images_or_text(self):
        for name in ("mean", "std"):
            if getattr(self, name) is None and not self.tokenizer:
                raise ValueError(f"the key {name} is missing")
        if "{question}" not in self.prompt:
            raise ValueError(f"prompt {self.prompt!r} has no {{question}}")
        return self

    @model_validator(mode="after")
    def _hub_of_others(self):
        if self.hub and not self.is_fetched:
            raise ValueError(
                f"`hub` names {self.hub.repository}, but the workflow trains the model: expected "
                "a tag as `weights`, or `pretrained: true` in `architecture`"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_what_it_cannot_have(self, dump: SerializerFunctionWrapHandler) -> dict:
        absent = ("mean", "std") if self.tokenizer else ("tokenizer", "prompt")
        return {name: value for name, value in dump(self).items() if name not in absent}

    @property
    def is_fetched(self) -> bool:
        """Whether others have trained it, so that its weights come from the internet."""
        options = {} if isinstance(self.architecture, str) else self.architecture
        return self.weights != "pretrain" or bool(options.get("pretrained"))

    @property
    def scenario(self) -> str:
        """The scenario that the model fits."""
        if self.tokenizer:
            return "language"
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
