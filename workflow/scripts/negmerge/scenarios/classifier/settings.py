"""Settings of the scenario `classifier`: a classifier forgets some of its training images."""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from negmerge.errors import UserError, find
from negmerge.scenarios.base import Scenario
from negmerge.scenarios.classifier.forget import Forget
from negmerge.scenarios.classifier.scenario import FORGET_TEST, SCENARIO
from negmerge.settings import methods
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.checks import require
from negmerge.settings.experiment import Experiment
from negmerge.settings.models import Model
from negmerge.settings.recipe import (
    Augmentation,
    Finetune,
    Positive,
    Recipe,
    Settings,
    SharedRecipe,
    Training,
    advanced,
    with_defaults,
)
from negmerge.settings.runs import Counts, Run, training_images
from negmerge.settings.selection import RetainSelection

SalunRecipe = with_defaults(
    Recipe,
    "SalunRecipe",
    "A recipe whose defaults are those of the SalUn code.",
    batch_size=256,
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=5e-4,
    warmup_steps=0,
    max_grad_norm=None,
    augmentation=Augmentation(crop_scale=None, padding=4, flip=0.5),
)
Pooled = with_defaults(
    Finetune,
    "Pooled",
    "How the pool is fine-tuned; the defaults are those of the paper's pool of ResNet-18.",
    epochs=40,
    batch_size=256,
    learning_rate=0.05,
    weight_decay=1e-4,
    optimizer="sgd",
    warmup_steps=0,
    schedule="constant",
    max_grad_norm=None,
    augmentation=Augmentation(crop_scale=None),
)
Train = with_defaults(
    SalunRecipe,
    "Train",
    "How Original and Retrain are trained; the defaults are those of the SalUn code.",
    epochs=182,
    schedule="steps",
    milestones=[91, 136],
)


class Unlearn(SharedRecipe, SalunRecipe):
    """What all methods that train share."""

    schedule: Literal["cosine", "constant", "steps"] = Field(
        "constant",
        description="The rate after the warm-up; 10 epochs reach no milestone of SalUn's.",
    )


class Relearn(Settings):
    """How soon an unlearned model knows the forget set again, as well as the original did."""

    learning_rate: Positive = Field(0.01, description="Rate of plain SGD.")
    batch_size: PositiveInt = Field(128, description="Images per step.")
    epochs: PositiveInt = Field(10, description="Give up after this many epochs.")
    seeds: PositiveInt = Field(
        3,
        description="How many times the model relearns, each with another order of the images.",
    )


class Seeds(Settings):
    """Seeds of their own for some levels of randomness; null: the experiment's seed."""

    split: int | None = Field(None, ge=0, description="Which images are forgotten.")
    training: int | None = Field(None, ge=0, description="Original, Retrain, fine-tuning.")
    unlearning: int | None = Field(None, ge=0, description="Methods that train.")
    evaluation: int | None = Field(None, ge=0, description="Relearning; the attack's test images.")


class Classifier(Experiment):
    """An experiment in which a classifier forgets some of its training images."""

    SCENARIO: ClassVar[Scenario] = SCENARIO
    unseeded: ClassVar[tuple[str, ...]] = ("original.safetensors",)

    scenario: Literal["classifier"] = Field(description="A classifier forgets training images.")
    dataset: str = Field(description="The data set.")
    trials: PositiveInt = Field(
        1, description="How many times to run everything, each with its own forget set and seeds."
    )
    forget: Forget = Field(Forget(), description="Which training images are forgotten.")
    finetune: Pooled | None = Field(
        Pooled(), description="The recipe that the points of the pool vary."
    )
    train: Train = Field(Train(), description="How Original and Retrain are trained.")
    unlearn: Unlearn = advanced(Unlearn(), description="What methods that train share.")
    batch_statistics: Literal["base", "re-estimate"] = advanced(
        "base",
        description="Statistics of batch normalisation after a negation: the original's, or "
        "measured anew on retain images.",
    )
    relearn: Relearn | None = advanced(Relearn(), description="Relearn time; null: not measured.")
    attack: Literal["confidence", "all"] = advanced(
        "all",
        description="Features by which the membership attack judges the scored models: the one "
        "that papers report and tables show, or all six of SalUn's code, which takes ten times as "
        "long. Coefficients are chosen by the first.",
    )
    seeds: PositiveInt | Seeds = advanced(
        1,
        description=f"{Experiment.model_fields['seeds'].description} Or seeds of single levels.",
    )
    selection: RetainSelection = Field(
        RetainSelection(), description="How the coefficient is chosen."
    )

    @classmethod
    def fits(cls, model: Model) -> bool:
        return model.kind is not None and not model.reads_text

    @property
    def base_place(self) -> str:
        """Where the original is: in each trial's folder, or the given one in the experiment's."""
        return "original.safetensors" if self.base else "{task}/trained/original.safetensors"

    @property
    def task_names(self) -> list[str]:
        return [f"trial{number}" for number in range(1, self.trials + 1)]

    @property
    def datasets(self) -> list[str]:
        return [self.dataset]

    def training(self, trained: str) -> Training:
        return Training(self.train, {"retrain": "retain"}.get(trained, trained))

    def job(self, task: str, known: Catalogue) -> dict:
        find("task", task, dict.fromkeys(self.task_names))
        return super().job(task, known) | {
            "roles": [*self.SCENARIO.roles, *([FORGET_TEST] if self.forget.classes else [])],
            "dataset": self.dataset,
            "classes": known.datasets[self.dataset].classes,
        }

    def inputs(self, task: str, roles: Iterable[str]) -> dict[str, tuple[str, str]]:
        return {"images": ("images", self.dataset), "split": ("place", f"{task}/split.json")}

    def image_counts(self, task: str, known: Catalogue) -> Counts:
        row = known.datasets[self.dataset]
        kept, forget = self.forget.kept(row), self.forget.count(self.dataset, known)
        whole = {"forget": forget, "retain": kept - forget, "original": kept}
        most = self.selection.images or row.splits["train"]
        return {
            role: {"train": count, "select": min(count, most), "score": count}
            for role, count in (whole | {"test": row.splits["test"]}).items()
        }

    def check_counts(self, where: str, task: str, known: Catalogue) -> Counts | None:
        """Check that there is something to forget and to keep; None: not counted yet."""
        if not self.forget.is_counted(self.dataset, known):
            return None
        try:
            counts = self.image_counts(task, known)
        except UserError:
            return None
        forget, retain = counts["forget"]["train"], counts["retain"]["train"]
        if min(forget, retain) < 1:
            raise UserError(
                f"{where}.forget: {forget} of {forget + retain} images are forgotten, expected at "
                "least 1 to forget and 1 to keep"
            )
        return counts

    def runs(self, task: str, known: Catalogue, counts: Counts | None) -> Iterator[Run]:
        if self.base is None:
            yield Run("train (original)", self.train, training_images(counts, "original"))
        if methods.RETRAIN in self.methods or self.selection.is_compared:
            yield Run("train (retrain)", self.train, training_images(counts, "retain"))
        yield from super().runs(task, known, counts)

    def split_seed(self, task: str) -> int | None:
        """The seed of a trial's split, where the study gives it."""
        first = self.forget.seed
        return None if first is None else first + self.task_names.index(task)

    def repeated(self, number: int) -> "Classifier":
        again = super().repeated(number)
        if self.forget.seed is None:
            return again
        forget = {"seed": self.forget.seed + (number - 1) * self.trials}
        return again.model_copy(update={"forget": self.forget.model_copy(update=forget)})

    @property
    def selection_roles(self) -> tuple[str, ...]:
        """The roles by which candidates are chosen; test images only where a criterion asks."""
        return self.SCENARIO.roles if self.selection.reads_test_images else self.SCENARIO.roles[:2]

    @property
    def re_estimates(self) -> bool:
        return self.batch_statistics == "re-estimate"

    @property
    def relearning(self) -> dict | None:
        return self.relearn and self.relearn.model_dump()

    @property
    def attack_features(self) -> str:
        return self.attack

    def check(self, where: str, known: Catalogue) -> None:
        super().check(where, known)
        known.models[self.model].contents()  # a file of code must be there
        splits = known.datasets[self.dataset].splits
        require(f"{where}: data set {self.dataset!r}", "split", ("train", "test"), splits)
        if self.forget.classes:
            self.forget.check_classes(f"{where}.forget.classes", self.dataset, known)


EXPERIMENT = Classifier
