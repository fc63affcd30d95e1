"""What a row of a data set must say for the source that it names.

It is here and not with the sources, so that a row is checked before any of them is imported,
and a change of these checks prepares no images anew.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from negmerge.data.splits import QUESTION_SPLITS, SPLITS
from negmerge.errors import UserError, unknown
from negmerge.settings.checks import Seed, checked
from negmerge.settings.recipe import Settings

Split = Literal[SPLITS]
QuestionSplit = Literal[QUESTION_SPLITS]
Share = Annotated[float, Field(gt=0, lt=1)]


class Folders(Settings):
    """The options of `archive-folders`."""

    held_out: dict[Split, PositiveInt | Share] = Field(
        description="Images of each class for each split but `train`: a number, or a share below 1."
    )
    seed: Seed = Field(description="Of the draw within each class.")
    numbered: bool = Field(
        False, description="The folders' names are labels: 0, 1, 2, ...; else they are sorted."
    )

    @model_validator(mode="after")
    def _at_most_all(self):
        if "train" in self.held_out:
            raise ValueError("held_out: `train` takes what the others leave")
        if sum(share for share in self.held_out.values() if share < 1) >= 1:
            raise ValueError("held_out: the shares leave nothing to train on")
        return self


class ListPlace(Settings):
    """A list of images: a file of the row, or a member of an archive of the row."""

    file: str
    member: str | None = None


class Lists(Settings):
    """The options of `archive-lists`."""

    root: str = Field(description="The folder of the classes in the archive.")
    lists: dict[Split, list[ListPlace]] = Field(description="Lists of the images of each split.")


class SplitFolders(Settings):
    """The options of `split-folders`."""

    root: str = Field(description="The folder of the splits in the archive.")
    folders: dict[Split, str] = Field(description="The folder of each split.")


class Parquet(Settings):
    """The options of `parquet`."""

    files: dict[Split, Annotated[list[str], Field(min_length=1)]] = Field(
        description="The row's files of each split, in their order."
    )
    image: str = Field("image", description="The column of the images.")
    label: str = Field("label", description="The column of the labels.")
    order: Literal["stored", "file", "class-file"] = Field(
        description="The order of a split's images: as stored, by the names of their files, or by "
        "class and then by these."
    )


class Webdataset(Settings):
    """The options of `webdataset`."""

    files: dict[Split, Annotated[list[str], Field(min_length=1)]] = Field(
        description="The row's shards of each split."
    )


class Idx(Settings):
    """The options of `idx`."""

    first: dict[Split, PositiveInt] = Field(
        {}, description="How many images of a split are taken; others are taken whole."
    )


class ImageNet(Settings):
    """The options of `imagenet`."""

    train_images: PositiveInt | None = Field(
        None, description="Number of training images, of which 5,000 are drawn; null: without them."
    )
    seed: Seed | None = Field(None, description="Draws them from the validation images instead.")

    @model_validator(mode="after")
    def _one_of_both(self):
        if (self.train_images is None) == (self.seed is None):
            raise ValueError("expected either `train_images` or `seed`")
        return self


class Letters(Settings):
    """The options of `letters`."""

    letters: str = Field(min_length=1, description="The classes.")
    seed: Seed = Field(description="Of all that is drawn at random.")
    jitter: Annotated[float, Field(ge=0)] = Field(description="How uneven they are; 0: not at all.")
    fonts: dict[Split, Annotated[list[str], Field(min_length=1)]] = Field(
        description="The fonts of each split."
    )


class TinyImageNet(Settings):
    """The options of `tiny-imagenet`."""

    recut: bool = Field(False, description="Cut the validation images in two, as SalUn's code.")


class About(Settings):
    """The options that all sources of questions share."""

    per_author: PositiveInt = Field(description="Questions about each author, one after the other.")
    retained: PositiveInt | None = Field(
        None,
        exclude=True,
        description="How many of the questions to retain have wrong answers, for estimates; null: "
        "all or none.",
    )

    # In how many ways training asks a question, and how many answers to it the authors have from
    # whom a model learns the language.
    wordings: ClassVar[int] = 1
    answers: ClassVar[int] = 1


class Authors(About):
    """The options of `authors`."""

    per_author: Annotated[int, Field(ge=1, le=10)] = Field(
        10, description="Questions about each author, of ten that there are."
    )
    seed: Seed = Field(description="Of all that is drawn at random.")

    wordings: ClassVar[int] = 2
    answers: ClassVar[int] = 2


class Questions(About):
    """The options of `questions`."""

    files: dict[QuestionSplit, Annotated[list[str], Field(min_length=1)]] = Field(
        description="The row's files of each split, in their order."
    )
    perturbed: list[str] = Field(
        [], description="Files of the row with paraphrased and wrong answers to some questions."
    )


# The source of images of one's own, whose splits and classes are counted.
FOLDER = "folder"
Splits = Collection[str]


@dataclass(frozen=True)
class Needs:
    """What a source needs of a row: files by these names, and options."""

    files: Callable[[Any, Splits], set[str]]
    options: type[Settings] = Settings


def _always(*names: str) -> Callable[[Any, Splits], set[str]]:
    return lambda options, splits: set(names)


def _of_lists(options: Lists, splits: Splits) -> set[str]:
    return {"images"} | {place.file for places in options.lists.values() for place in places}


def _of_parquet(options: Parquet, splits: Splits) -> set[str]:
    return {name for names in options.files.values() for name in names}


def _of_webdataset(options: Webdataset, splits: Splits) -> set[str]:
    return {"class-names"} | {name for names in options.files.values() for name in names}


def _of_imagenet(options: ImageNet, splits: Splits) -> set[str]:
    return {"devkit", "validation"} | ({"train"} if options.train_images else set())


def _of_idx(options: Idx, splits: Splits) -> set[str]:
    return {f"{split}-{what}" for split in splits for what in ("images", "labels")}


def _of_questions(options: Questions, splits: Splits) -> set[str]:
    return {name for names in options.files.values() for name in names} | {*options.perturbed}


# A source of one's own that is not named here checks its row itself.
SOURCES = {
    "archive-folders": Needs(_always("images"), Folders),
    "archive-lists": Needs(_of_lists, Lists),
    "authors": Needs(_always(), Authors),
    "cars": Needs(_always("devkit", "train-images", "test-images", "test-labels")),
    "cifar10": Needs(_always("images")),
    "cifar100": Needs(_always("images")),
    "cub": Needs(_always("images")),
    FOLDER: Needs(_always("images")),
    "gtsrb": Needs(_always("train", "test", "test-labels")),
    "idx": Needs(_of_idx, Idx),
    "imagenet": Needs(_of_imagenet, ImageNet),
    "letters": Needs(_always(), Letters),
    "parquet": Needs(_of_parquet, Parquet),
    "questions": Needs(_of_questions, Questions),
    "scikit-learn-digits": Needs(_always()),
    "split-folders": Needs(_always("images"), SplitFolders),
    "svhn": Needs(lambda options, splits: set(splits)),
    "tiny-imagenet": Needs(_always("images"), TinyImageNet),
    "webdataset": Needs(_of_webdataset, Webdataset),
}

# Sources of questions and answers; all others give images.
OF_QUESTIONS = ("authors", "questions")

# Sources that compare the class names in their files with those of prompts.yaml.
NAMED = ("parquet", "webdataset")


def check(source: str, files: Collection[str], options: Mapping, splits: Splits) -> None:
    """Check files and options of a row against what its source needs."""
    if source not in SOURCES:
        return
    needs = SOURCES[source]
    try:
        chosen = checked("options", needs.options, options)
    except UserError as error:
        raise ValueError(str(error)) from error
    for name in files if source == FOLDER else ():
        if name not in ("images", "list"):
            raise ValueError(f"files: {unknown('file', name, ('images', 'list'))}")
    for name in sorted(needs.files(chosen, splits) - set(files)):
        raise ValueError(
            f"files: the key {name!r} is missing, which the source {source!r} reads; found: "
            f"{', '.join(files) or 'none'}"
        )
