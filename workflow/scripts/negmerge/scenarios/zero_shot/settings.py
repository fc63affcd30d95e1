"""Settings of the scenario `zero-shot`: a CLIP model forgets a data set, control is another one."""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, PrivateAttr

from negmerge.errors import UserError, find
from negmerge.scenarios.base import Scenario
from negmerge.scenarios.zero_shot.scenario import EARLIER, PARTS, SCENARIO, part_of
from negmerge.seeds import repetition
from negmerge.settings import methods
from negmerge.settings.catalogue import Catalogue, Prompts
from negmerge.settings.checks import require
from negmerge.settings.experiment import Experiment
from negmerge.settings.models import Model
from negmerge.settings.recipe import FileName, Recipe, Settings, SharedRecipe, advanced
from negmerge.settings.runs import Counts, Run

# What the images of each role are needed for.
NEEDS = {"forget": ("train", "select", "score"), "control": ("select", "score")}


class PretrainSource(Settings):
    """What one data set gives to pre-training."""

    part: Literal["pretrain", "train"] = Field(description="The part of the data set.")
    repeat: PositiveInt = Field(1, description="How often an epoch shows each of its images.")


class Pretrain(Settings):
    """How the workflow trains a base from scratch."""

    sources: dict[str, PretrainSource] = Field(min_length=1, description="Data sets by name.")
    recipe: Recipe = Field(description="The training settings.")


class After(Settings):
    """An earlier request to forget, whose unlearned model is the base of this one."""

    experiment: str = Field(description="Another experiment of the study.")
    task: FileName = Field(description="One of its tasks.")
    method: FileName = Field(description="One of its methods, which has made the model.")


class EncoderUnlearn(SharedRecipe, Recipe):
    """What all methods that train share."""


class ZeroShot(Experiment):
    """An experiment in which CLIP forgets a data set."""

    SCENARIO: ClassVar[Scenario] = SCENARIO
    UNTOUCHED: ClassVar[tuple[str, ...]] = ("text.safetensors",)

    scenario: Literal["zero-shot"] = Field(description="CLIP forgets a data set.")
    mode: Literal["standard", "linear"] = advanced(
        "standard",
        description="linear: fine-tuning in the tangent space of the base; NegMerge's code then "
        "freezes nothing.",
    )
    control: str = Field(description="The data set on which accuracy must be kept.")
    tasks: list[FileName] = Field(min_length=1, description="Data sets to forget, each on its own.")
    freeze: Literal["attention", "nothing"] = advanced(
        "attention",
        description="What fine-tuning freezes in the image encoder; NegMerge's code freezes "
        "all attention projections.",
    )
    pretrain: Pretrain | None = advanced(None, description="For models with `weights: pretrain`.")
    unlearn: EncoderUnlearn = advanced(
        EncoderUnlearn(), description="What methods that train share."
    )
    after: After | None = Field(
        None,
        description="What was forgotten before, for a history of requests: the base is the model "
        "that a method of another experiment has made. null: nothing.",
    )

    _earlier: "ZeroShot | None" = PrivateAttr(None)  # the experiment of `after`

    @classmethod
    def fits(cls, model: Model) -> bool:
        return model.kind is None and not model.reads_text

    @property
    def unseeded(self) -> tuple[str, ...]:
        return () if self.pretrain else ("base.safetensors", "text.safetensors", "heads/*")

    @property
    def base_place(self) -> str:
        if self.after:
            return f"{self.after.task}/unlearned/{self.after.method}.safetensors"
        return "base.safetensors"

    def link(self, where: str, others: Mapping[str, Experiment]) -> None:
        if self.after is None:
            return
        require(f"{where}.after", "experiment", [self.after.experiment], others)
        earlier = before = others[self.after.experiment]
        for _ in others:
            request = getattr(before, "after", None)
            before = others.get(request.experiment) if request else None
        if before:
            raise UserError(f"{where}.after: {self.after.experiment} comes after this one, too")
        alike = ("scenario", "model", "mode", "control")
        unlike = [key for key in alike if getattr(earlier, key, None) != getattr(self, key)]
        if unlike or self.mode == "linear" or self.seeds > earlier.seeds:
            what = ", ".join(unlike) or ("mode" if self.mode == "linear" else "seeds")
            raise UserError(
                f"{where}.after: {self.after.experiment} does not fit in {what}; expected the same "
                "scenario, model, control and mode, which is standard, and as many seeds"
            )
        require(f"{where}.after", "task", [self.after.task], earlier.task_names)
        require(f"{where}.after", "method", [self.after.method], earlier.methods)
        self._earlier = earlier

    def repeated(self, number: int) -> "Experiment":
        again = super().repeated(number)
        if self.after is None:
            return again
        earlier = {"experiment": repetition(self.after.experiment, number)}
        return again.model_copy(update={"after": self.after.model_copy(update=earlier)})

    def home(self, name: str, place: str) -> str:
        if self._earlier is None or place.split("/")[0] in self.tasks:
            return super().home(name, place)
        return self._earlier.home(self.after.experiment, place)

    @property
    def requests(self) -> list[tuple[str, str]]:
        """The experiments and tasks of earlier requests, the first one first."""
        if self._earlier is None:
            return []
        return [*self._earlier.requests, (self.after.experiment, self.after.task)]

    def scored(self, task: str) -> tuple[str, ...]:
        return tuple(self.roles(task))

    def about_choice(self, method: str) -> dict[str, object]:
        place = "/".join(self.after.model_dump().values()) if self.after else None
        return super().about_choice(method) | ({"after": place} if place else {})

    @property
    def task_names(self) -> list[str]:
        return self.tasks

    @property
    def datasets(self) -> list[str]:
        earlier = [task for _, task in self.requests]
        return [
            *self.tasks,
            self.control,
            *earlier,
            *(self.pretrain.sources if self.pretrain else ()),
        ]

    def roles(self, task: str) -> dict[str, str]:
        return {
            "forget": find("task", task, dict.fromkeys(self.tasks, task)),
            "control": self.control,
            **{EARLIER + before: before for _, before in self.requests},
        }

    def job(self, task: str, known: Catalogue) -> dict:
        sets = self.roles(task)
        return super().job(task, known) | {
            "roles": list(sets),
            "mode": self.mode,
            "datasets": sets,
            "classes": known.datasets[sets["forget"]].classes,
        }

    def inputs(self, task: str, roles: Iterable[str]) -> dict[str, tuple[str, str]]:
        sets = self.roles(task)
        images = {f"{role}_data": ("images", sets[role]) for role in roles}
        heads = {f"{role}_head": ("place", f"heads/{sets[role]}.safetensors") for role in roles}
        return images | heads

    def image_counts(self, task: str, known: Catalogue) -> Counts:
        counts = {}
        for role, dataset in self.roles(task).items():
            sizes = known.datasets[dataset].parts
            counts[role] = {purpose: sizes.get(part_of(role, purpose), 0) for purpose in PARTS}
            if self.selection.images is not None:
                counts[role]["select"] = min(counts[role]["select"], self.selection.images)
        return counts

    def check_counts(self, where: str, task: str, known: Catalogue) -> Counts:
        counts = self.image_counts(task, known)
        for role, dataset in self.roles(task).items():
            for purpose in NEEDS.get(role, ("score",)):
                if not counts[role][purpose]:
                    raise UserError(
                        f"{where}: data set {dataset!r} is the {role} set, but has no "
                        f"{PARTS[purpose]} images; its splits are "
                        f"{', '.join(known.datasets[dataset].splits)}"
                    )
        return counts

    def passes_to_score(self, counts: Counts, known: Catalogue, generation: float) -> float:
        return sum(one["score"] for one in counts.values())

    def runs(self, task: str, known: Catalogue, counts: Counts | None) -> Iterator[Run]:
        if self.pretrain is not None:
            shown = sum(
                known.datasets[name].parts[source.part] * source.repeat
                for name, source in self.pretrain.sources.items()
            )
            yield Run("pretrain.recipe", self.pretrain.recipe, (shown,))
        yield from super().runs(task, known, counts)

    def pretraining(self, prompts: Mapping[str, Prompts]) -> dict | None:
        """What pre-training is made of, with the prompts of its data sets; None without one."""
        if self.pretrain is None:
            return None
        sources = [
            {"name": name, **source.model_dump(), **prompts[name].model_dump()}
            for name, source in self.pretrain.sources.items()
        ]
        return {"sources": sources, "recipe": self.pretrain.recipe.model_dump()}

    def check(self, where: str, known: Catalogue) -> None:
        super().check(where, known)
        epochs = self.finetune and self.finetune.epochs
        require(where, "data set", epochs if isinstance(epochs, Mapping) else [], known.datasets)
        for name in self.datasets:
            require(f"{where}: data set {name!r}", "row of prompts.yaml", [name], known.prompts)
            named, classes = len(known.prompts[name].classes), known.datasets[name].classes
            if named != classes:
                raise ValueError(
                    f"{where}: data set {name!r} has {classes} classes, but {named} names in "
                    "prompts.yaml"
                )
        for source, settings in self.pretrain.sources.items() if self.pretrain else ():
            place = f"{where}.pretrain.sources.{source}.part"
            require(place, "split", [settings.part], known.datasets[source].splits)
        if self.mode == "linear" and self.durability is not None:
            raise ValueError(
                f"{where}.durability: a model in the tangent space computes with its base and with "
                "the change apart, so rounding their sum says nothing of it; expected null"
            )
        own = self.base is None and self.after is None
        trains = known.models[self.model].weights == "pretrain" and own
        if trains != bool(self.pretrain):
            raise ValueError(
                f"{where}: `pretrain` goes with a model of `weights: pretrain`, and only with it; "
                "a `base` that is given, or made by the experiment of `after`, needs none"
            )
        for name in () if self.after else self.methods:
            if methods.base_name(name) == methods.NO_CONFLICT:
                raise ValueError(f"{where}.methods.{name}: expected the key `after`, too")
        repeated = {task for _, task in self.requests} & {*self.tasks, self.control}
        if repeated or (self.after and self.base):
            what = f"{min(repeated)} is forgotten before" if repeated else "there is a `base`, too"
            raise ValueError(f"{where}.after: {what}; expected another task, and no base")

    def _check_points(self) -> None:
        if len({self.control, *self.tasks}) <= len(self.tasks):
            raise UserError("control and tasks: each data set may be named only once")
        super()._check_points()


EXPERIMENT = ZeroShot
