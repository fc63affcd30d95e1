"""Models: rows of `config/models.yaml`."""

from typing import Annotated, Literal

from pydantic import (
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from negmerge.settings.recipe import FileName, NonNegative, Positive, Settings

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
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="null: not known.")
    about_bytes: PositiveInt | None = Field(
        None,
        exclude=True,
        description="Size as its page rounds it, for estimates; null: `bytes` counts.",
    )


class Cost(Settings):
    """How large a model is, for estimates."""

    gflop: Positive = Field(description="Billion operations of one image forward.")
    megabytes: Positive = Field(description="Of what is fine-tuned: image encoder or classifier.")
    train_megabytes: Positive | None = Field(
        None,
        description="What a training step keeps of one image, or text, until its gradient is "
        "there, float32; null: see config/costs.yaml.",
    )
    pass_megabytes: Positive | None = Field(
        None, description="Likewise what a pass without gradients needs at a time."
    )
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
        "transformers' configuration. `kind: transformers` is a language model of others, whose "
        "folder has its configuration and its tokenizer."
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
    retrained: dict[FileName, Hub] = Field(
        {},
        exclude=True,
        description="Of a language model on the hub, by task: the same model, which never saw what "
        "the task forgets.",
    )
    tokenizer: Tokenizer | None = Field(None, description="That of a language model.")
    prompt: str = Field(
        "<question>{question}<answer>",
        description="What a language model reads before it answers; {question} is the question.",
    )
    end: str = Field("<end>", description="The token that ends an answer of a language model.")
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
            if getattr(self, name) is None and not self.reads_text:
                raise ValueError(f"the key {name} is missing")
        if self.hub and self.hub.file is None and not self.reads_text:
            raise ValueError("the key hub.file is missing")
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
        absent = ("mean", "std") if self.reads_text else ("tokenizer", "prompt", "end")
        return {name: value for name, value in dump(self).items() if name not in absent}

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
        """Whether it is a language model."""
        return self.tokenizer is not None or self.is_of_transformers

    @property
    def kind(self) -> str | None:
        """The kind of a classifier or language model; None of a model of open_clip."""
        return None if isinstance(self.architecture, str) else self.architecture.get("kind")
