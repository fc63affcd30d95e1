"""A row of `config/models.yaml`: a network, its weights, and what it costs."""

from typing import Annotated, Literal

from pydantic import (
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from negmerge.settings import own_code
from negmerge.settings.downloads import Download
from negmerge.settings.recipe import FileName, NonNegative, Positive, Settings, advanced

Channels = Annotated[list[float], Field(min_length=3, max_length=3)]


class Hub(Settings):
    """Weights on the Hugging Face hub. What is left out, the first fetch records."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="Owner and name.")
    revision: str | None = Field(
        None, pattern="^[0-9a-f]{40}$", description="The commit; null: the newest at first."
    )
    file: FileName | None = Field(
        None, description="The file's name; null: all of a model of transformers."
    )
    bytes: PositiveInt | None = Field(None, description="Size; null: not known.")
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="The checksum; null: not known."
    )
    about_bytes: PositiveInt | None = advanced(
        None,
        exclude=True,
        description="Size as its page rounds it, for estimates; null: `bytes` counts.",
    )


class Alternative(Settings):
    """A file with a model's weights that takes the place of those on the hub."""

    file: str = Field(
        description="The name of the file in the `package`. Without a package: the path where a "
        "person may put a file or folder, which then comes before the hub."
    )
    package: str | None = Field(
        None,
        pattern=r"^[\w.-]+(==[\w.]+)?$",
        description="A package of the index that has the file, as pip takes it. It is read if it is"
        " installed and the hub does not give the weights.",
    )
    bytes: PositiveInt | None = Field(None, description="Size; null: not known.")
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="The checksum; null: not known."
    )


class Cost(Settings):
    """How large a model is, for estimates."""

    gflop: Positive = Field(description="Billion operations of one image forward.")
    megabytes: Positive = Field(
        description="Size of what is fine-tuned: the image encoder, the classifier or the language "
        "model."
    )
    train_megabytes: Positive | None = Field(
        None,
        description="Memory that a training step needs for one image or text until its gradient is "
        "computed, in float32; null: see config/costs.yaml.",
    )
    pass_megabytes: Positive | None = Field(
        None,
        description="Memory that a pass without gradients needs for one image or text, in float32; "
        "null: see config/costs.yaml.",
    )
    text_gflop: NonNegative = Field(0, description="Billion operations of one prompt.")
    text_megabytes: NonNegative = Field(0, description="Size of CLIP's text part.")


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
        "transformers' configuration. `kind: transformers` is a language model of others, whose "
        "folder has its configuration and its tokenizer. `kind: factory` is a classifier that a "
        "function of yours builds, and `kind: torch-hub` one of a repository with hubconf.py."
    )
    weights: str = Field(
        description="open_clip's tag of trained weights, or the path of a file of them, or "
        "`pretrain`: the workflow trains it."
    )
    hub: Hub | None = Field(
        None, description="Where to find trained weights; null: where open_clip or timm has them."
    )
    alternatives: list[Alternative] = advanced(
        [], description="Files with the weights for machines that the hub does not reach."
    )
    download: Download | None = Field(
        None,
        exclude=True,
        description="A file of trained weights of a classifier on the internet, which the `base` "
        "of an experiment names.",
    )
    size: PositiveInt = Field(
        description="Side of the images in pixels; of a language model the longest text in tokens."
    )
    mean: Channels | None = Field(None, description="Channel means, 0..1; needed for images.")
    std: Channels | None = Field(None, description="Standard deviations; needed for images.")
    retrained: dict[FileName, Hub] = advanced(
        {},
        exclude=True,
        description="For a language model on the hub, by task: the same model, trained without what"
        " the task forgets.",
    )
    tokenizer: Tokenizer | None = advanced(None, description="The tokenizer of a language model.")
    prompt: str = advanced(
        "<question>{question}<answer>",
        description="What a language model reads before it answers; {question} is the question.",
    )
    prompts: dict[str, str] = advanced(
        {}, description="Further prompts, by the form of the questions that they ask."
    )
    end: str = advanced("<end>", description="The token that ends an answer of a language model.")
    cost: Cost | None = advanced(
        None,
        exclude=True,
        description="How large the model is; null: not known, see config/costs.yaml.",
    )

    @model_validator(mode="after")
    def _consistent(self):
        # With another activation the weights load, and every accuracy is some points too low.
        if self.weights == "openai" and not str(self.architecture).endswith("-quickgelu"):
            raise ValueError(
                "the openai weights need QuickGELU, but the architecture is "
                f"{self.architecture!r}: expected one that ends in -quickgelu"
            )
        for name in ("mean", "std"):
            if getattr(self, name) is None and not self.reads_text:
                raise ValueError(f"the key {name} is missing")
        if self.hub and self.hub.file is None and not self.reads_text:
            raise ValueError("the key hub.file is missing")
        if self.kind in own_code.KINDS:
            own_code.check(self.architecture)
        if self.download:
            self.download.check()
        for prompt in (self.prompt, *self.prompts.values()):
            if "{question}" not in prompt:
                raise ValueError(f"prompt {prompt!r} has no {{question}}")
        if self.hub and not self.is_fetched:
            raise ValueError(
                f"`hub` names {self.hub.repository}, but the workflow trains the model: expected "
                "a tag as `weights`, or `pretrained: true` in `architecture`"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_what_it_cannot_have(self, dump: SerializerFunctionWrapHandler) -> dict:
        absent = ["mean", "std"] if self.reads_text else ["tokenizer", "prompt", "end"]
        absent += [name for name in ("alternatives", "prompts") if not getattr(self, name)]
        return {name: value for name, value in dump(self).items() if name not in absent}

    def contents(self) -> dict:
        """Return what decides the numbers of jobs: the row, with checksums of code and weights."""
        contents = self.model_dump()
        if self.kind in own_code.KINDS:
            contents["architecture"] |= {"digest": own_code.digest(self.architecture)}
        if self.download:
            contents["download"] = self.download.model_dump(include={"sha256", "md5"})
        return contents

    @property
    def is_fetched(self) -> bool:
        """Whether others have trained it, so that its weights come from the internet."""
        options = {} if isinstance(self.architecture, str) else self.architecture
        return self.weights != "pretrain" or bool(options.get("pretrained"))

    @property
    def is_of_transformers(self) -> bool:
        """Whether it is a language model of others."""
        return self.kind == "transformers"

    @property
    def reads_text(self) -> bool:
        return self.tokenizer is not None or self.is_of_transformers

    @property
    def kind(self) -> str | None:
        """The kind of a classifier or language model; None of a model of open_clip."""
        return None if isinstance(self.architecture, str) else self.architecture.get("kind")
