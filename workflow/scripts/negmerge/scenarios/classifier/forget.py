"""Which training images a classifier forgets, as studies write it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from negmerge.data.archives import lines, read_file
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.checks import require
from negmerge.settings.datasets import Dataset
from negmerge.settings.recipe import Settings, advanced


class Forget(Settings):
    """Which training images are forgotten."""

    rule: Literal["uniform", "salun", "given", "class"] = Field(
        "uniform",
        description="uniform: a random share of all training images; salun: as the SalUn code "
        "does it, after a tenth of each class was held out; given: those listed in `file`; class: "
        "all of `classes`, whose test images are then scored apart from the others.",
    )
    share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.1, description="Share of the training images to forget."
    )
    original_seed: int | None = advanced(
        None,
        ge=0,
        description="salun: another seed for the images that the original model is trained on; 1 "
        "in the SalUn code, whose forget set has seed 2. null: the same images for both.",
    )
    seed: int | None = advanced(
        None,
        ge=1,
        description="salun: the seed of the split in the first trial, and one more in each further "
        "trial; 2 in the SalUn code. null: it follows from the study's seed.",
    )
    file: str | None = Field(
        None,
        description="given: a text file with an image per line: a position, or, where the source "
        "is `folder`, a file name such as `train/cat/1.jpg`.",
    )
    classes: list[str] = Field([], description="class: the names of the classes to forget.")

    @model_validator(mode="after")
    def _fitting(self):
        if (self.file is None) == (self.rule == "given"):
            raise ValueError("`file` goes with `rule: given`, and only with it")
        if bool(self.classes) != (self.rule == "class"):
            raise ValueError("`classes` goes with `rule: class`, and only with it")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"a class stands twice in `classes`: {', '.join(self.classes)}")
        for name in ("seed", "original_seed"):
            if getattr(self, name) is not None and self.rule != "salun":
                raise ValueError(f"`{name}` goes with `rule: salun`, and only with it")
        return self

    def count(self, dataset: str, known: Catalogue) -> int:
        """Count what is forgotten of the training images that are not held out."""
        row = known.datasets[dataset]
        if self.classes and row.listed:
            counts = row.listed.class_counts("train")
            return sum(counts[name] for name in self.classes)
        if self.classes:
            return round(row.splits["train"] * len(self.classes) / row.classes)
        if self.file:
            return len(lines(read_file(self.file), self.file))
        return round(self.share * self.kept(row))

    def kept(self, row: Dataset) -> int:
        """Count the training images that are not held out; with `salun` there may be a few more."""
        n = row.splits["train"]
        return n - n // 10 if self.rule == "salun" else n

    def is_counted(self, dataset: str, known: Catalogue) -> bool:
        """Whether `count` is exact: how many images a class has is known of one's own images."""
        return not self.classes or known.datasets[dataset].listed is not None

    def check_classes(self, where: str, dataset: str, known: Catalogue) -> None:
        names, listed = known.class_names(dataset), known.datasets[dataset].listed
        require(where, "class", self.classes, names)
        kept = [name for name in names if name not in self.classes]
        if not kept:
            raise ValueError(f"{where}: all {len(names)} classes, expected at least 1 to keep")
        counts = listed.class_counts("test") if listed else dict.fromkeys(names, 1)
        for group in (self.classes, kept):
            if not any(counts[name] for name in group):
                raise ValueError(f"{where}: {', '.join(group)}: no test images, expected 1")

    def options(self, dataset: str, known: Catalogue) -> dict:
        """Return what the rule `split` must know: the settings, with the labels of classes."""
        names = known.class_names(dataset) if self.classes else []
        labels = [names.index(name) for name in self.classes]
        return self.model_dump(exclude={"seed"}) | {"classes": labels}
