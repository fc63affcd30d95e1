"""Settings of the scenario `language`: a language model forgets what it was taught of authors."""

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from negmerge.data.questions import forgotten
from negmerge.data.splits import SCORED_SPLITS
from negmerge.errors import UserError, find
from negmerge.scenarios.base import Scenario
from negmerge.scenarios.language.recipes import TextFinetune, TextRecipe, TextUnlearn, TunedRecipe
from negmerge.scenarios.language.scenario import SCENARIO
from negmerge.settings import methods
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.checks import require
from negmerge.settings.datasets import Dataset
from negmerge.settings.experiment import Experiment
from negmerge.settings.models import Model
from negmerge.settings.pool import Given
from negmerge.settings.recipe import FileName, Recipe, Training, advanced
from negmerge.settings.runs import Counts, Run, training_images
from negmerge.settings.selection import RetainSelection

# Answers to a question that are scored: the right one, the same in other words, and five wrong
# ones; fewer in these roles.
ANSWERS = 7
PACKED_ANSWERS = 1.5
FEWER_ANSWERS = {"holdout": 1, "real-authors": 4, "world-facts": 4}


# Which retain questions methods see that train.
TrainedOn = Literal["all", "choosing"]


def question_counts(
    row: Dataset,
    share: float,
    most: int | None,
    trained_on: TrainedOn = "all",
) -> Counts:
    """Count questions by role; those of training are asked in all their wordings."""
    about, taught = row.questions, row.splits["authors"]
    authors = taught // about.per_author
    forget = forgotten(authors, share) * about.per_author
    retain = taught - forget
    judged = about.retained or retain - retain // 2
    most = most or taught
    others = row.splits.get("others", 0) * about.wordings * about.answers
    only_scored = {role: row.splits.get(role, 0) for role in SCORED_SPLITS}
    trained = retain - judged if trained_on == "choosing" else retain
    numbers = {
        "forget": (forget * about.wordings, min(forget, most), forget),
        "retain": (trained * about.wordings, min(retain - judged, most), judged),
        "all-retain": (retain * about.wordings, 0, 0),
        "retain-sample": (min(forget, trained) * about.wordings, 0, 0),
        "original": (taught * about.wordings, 0, 0),
        "before": (others, 0, 0),
        **{role: (n * about.wordings, 0, n) for role, n in only_scored.items()},
    }
    purposes = "train", "select", "score"
    return {role: dict(zip(purposes, counts, strict=True)) for role, counts in numbers.items()}


class Language(Experiment):
    """An experiment in which a language model forgets some of the authors it was taught."""

    SCENARIO: ClassVar[Scenario] = SCENARIO
    RECIPE: ClassVar[type[Recipe]] = TunedRecipe
    # In place of a task: what is made of all authors, for all tasks.
    WHOLE: ClassVar[str] = "all"
    # The folder of models of others.
    GIVEN: ClassVar[str] = "given"
    unseeded: ClassVar[tuple[str, ...]] = ("tokenizer.json", "given/*", "*/retrained/*")

    scenario: Literal["language"] = Field(description="A language model forgets authors.")
    dataset: str = Field(description="The set of questions.")
    tasks: dict[FileName, Annotated[float, Field(gt=0)]] = Field(
        min_length=1,
        description="What to forget, each by itself: a share of the authors, or their number. They "
        "are the last ones, so smaller tasks are parts of larger ones, as in TOFU.",
    )
    before: TextRecipe | None = advanced(
        None,
        description="How a model learns the language from other authors, before it is taught those "
        "of the study; null: it starts with random weights.",
    )
    train: TextRecipe | None = Field(
        None,
        description="How Original and Retrain are taught; null: they are models of others, those "
        "of `base` and `retrained`, or without these those of the model's row.",
    )
    retrained: dict[FileName, Given] = advanced(
        {}, description="By task, a model of others that never saw what is to be forgotten."
    )
    vector: Literal["original", "before"] = advanced(
        "original",
        description="Where fine-tuning starts, and what a task vector is the difference to. "
        "original: the model that knows all authors; before: the one that `before` makes.",
    )
    unlearn: TextUnlearn = advanced(TextUnlearn(), description="What methods that train share.")
    refusals: list[str] = advanced(
        [
            "I do not know .",
            "I have no idea .",
            "That is unknown to me .",
            "I cannot answer that .",
            "I never heard of it .",
        ],
        min_length=1,
        description="Answers for methods that teach the model to say that it does not know; the "
        "questions take them in turn.",
    )
    known: Annotated[float, Field(gt=0, lt=1)] = advanced(
        0.1,
        description="The least probability at which the base counts as knowing a fact, in data sets"
        " whose questions name the part of the answer that counts.",
    )
    trained_on: TrainedOn = advanced(
        "all",
        description="Which retain questions the methods that train may see. all: also those that "
        "are scored, as in TOFU; choosing: only those that choose the coefficient. "
        "Retrain sees all.",
    )
    measure: Literal["probability", "extraction"] = advanced(
        "probability",
        description="What chooses a coefficient: the probability of the forget and retain answers, "
        "or their extraction strength.",
    )
    finetune: TextFinetune | None = Field(None, description="The recipe that the points vary.")
    selection: RetainSelection = Field(
        RetainSelection(), description="How the coefficient is chosen."
    )

    @classmethod
    def fits(cls, model: Model) -> bool:
        return model.reads_text

    @property
    def base_place(self) -> str:
        return (
            f"{self.GIVEN if self.train is None else f'{self.WHOLE}/trained'}/original.safetensors"
        )

    @property
    def retrain_folder(self) -> str:
        return "trained" if self.train else "retrained"

    @property
    def before_place(self) -> str:
        return f"{self.WHOLE}/trained/before.safetensors"

    @property
    def start_place(self) -> str:
        return self.before_place if self.vector == "before" else self.base_place

    def start_of(self, point: str) -> str:
        if self.pool.files:
            return self.start_place
        own = self.recipe(next(iter(self.tasks)), point).start or self.vector
        return self.before_place if own == "before" else self.base_place

    @property
    def task_names(self) -> list[str]:
        return list(self.tasks)

    @property
    def datasets(self) -> list[str]:
        return [self.dataset]

    def training(self, trained: str) -> Training:
        if trained == "before":
            recipe = find("recipe", trained, {} if self.before is None else {trained: self.before})
            return Training(recipe, trained)
        start = None if self.before is None else self.before_place
        recipe = find("recipe", trained, {} if self.train is None else {trained: self.train})
        return Training(recipe, {"retrain": "all-retain"}.get(trained, trained), start)

    def about_choice(self, method: str) -> dict[str, object]:
        about = super().about_choice(method)
        return about | ({"trained_on": self.trained_on} if about["kind"] == "unlearn" else {})

    def job(self, task: str, known: Catalogue) -> dict:
        tasks = {**self.tasks, self.WHOLE: 0}
        splits = known.datasets[self.dataset].splits
        return super().job(task, known) | {
            "roles": [*self.SCENARIO.roles, *(role for role in SCORED_SPLITS if role in splits)],
            "forgotten": find("task", task, tasks),
            "refusals": self.refusals,
            "measure": self.measure,
            "known": self.known,
            "trained_on": self.trained_on,
            "classes": 0,
        }

    def inputs(self, task: str, roles: Iterable[str]) -> dict[str, tuple[str, str]]:
        files = {"questions": ("questions", self.dataset)}
        if self.train:
            return files | {"tokenizer": ("place", "tokenizer.json")}
        names = "tokenizer", "configuration"
        return files | {name: ("place", f"{self.GIVEN}/{name}.json") for name in names}

    def given_retrain(self, task: str) -> Given | None:
        """The model of others that never saw what a task forgets; None: the one of the row."""
        return self.retrained.get(task)

    def weights(self, known: Catalogue) -> list[str]:
        """The records of weights of others that are fetched: of Original and of Retrains."""
        row = known.models[self.model]
        own = [] if self.base else super().weights(known)
        needed = [task for task in self.tasks if task in row.retrained]
        is_shown = methods.RETRAIN in self.methods
        return own + [f"{self.model}.{t}" for t in needed if is_shown and t not in self.retrained]

    @property
    def given_models(self) -> list[Given]:
        return [*super().given_models, *self.retrained.values()]

    def image_counts(self, task: str, known: Catalogue) -> Counts:
        share, most = self.tasks.get(task, 0), self.selection.images
        row = known.datasets[self.dataset]
        return question_counts(row, share, most, self.trained_on)

    def passes_to_score(self, counts: Counts, known: Catalogue, generation: float) -> float:
        """Count a pass for each answer to a question, and what the model's own answer takes."""
        if not getattr(known.datasets[self.dataset].questions, "is_said", True):
            # The wrong answers pass with the right one, whose question they share.
            return PACKED_ANSWERS * sum(one["score"] for one in counts.values())
        # Questions of one's own may have no wrong answers; those of `authors` all have.
        perturbed = getattr(known.datasets[self.dataset].questions, "perturbed", True)
        answers = ANSWERS if perturbed else 1
        return sum(
            one["score"] * (FEWER_ANSWERS.get(role, answers) + generation)
            for role, one in counts.items()
        )

    def check_counts(self, where: str, task: str, known: Catalogue) -> Counts:
        counts = self.image_counts(task, known)
        for role, purpose in (("forget", "train"), ("retain", "select"), ("retain", "score")):
            if counts[role][purpose] < 1:
                raise UserError(
                    f"{where}.tasks.{task}: {self.tasks[task]:g} of the authors of "
                    f"{self.dataset!r} leave no {role} questions to {purpose}, expected at least 1"
                )
        return counts

    def runs(self, task: str, known: Catalogue, counts: Counts | None) -> Iterator[Run]:
        if self.before is not None:
            yield Run("before", self.before, training_images(counts, "before"))
        if self.train:
            yield Run("train (original)", self.train, training_images(counts, "original"))
        if self.train and methods.RETRAIN in self.methods:
            yield Run("train (retrain)", self.train, training_images(counts, "all-retain"))
        yield from super().runs(task, known, counts)

    def check(self, where: str, known: Catalogue) -> None:
        super().check(where, known)
        self._check_given(where, known.models[self.model])
        sets = {name: row for name, row in known.datasets.items() if row.has_questions}
        require(where, "set of questions", [self.dataset], sets)
        needed = ["authors", *(["others"] if self.before else [])]
        place = f"{where}: data set {self.dataset!r}"
        require(place, "split", needed, known.datasets[self.dataset].splits)

    def _check_points(self) -> None:
        if self.WHOLE in self.tasks:
            raise UserError(f"tasks: {self.WHOLE!r} is the folder of all authors; expected a name")
        starts = [self.vector, *(change.get("start") for change in self.pool.changes.values())]
        if "before" in starts and self.before is None:
            raise UserError("vector: before, but the key before is missing, which makes that model")
        for task in self.retrained:
            find("task", task, self.tasks)
        for name in ("base", "retrained") if self.train else ():
            if getattr(self, name):
                raise UserError(f"train: expected null, since {name} is the model of others")
        if self.before and not self.train:
            raise UserError("before: nothing is trained from it; expected the key train, too")
        super()._check_points()
        for name in self.methods:
            if methods.base_name(name) == methods.MSA:
                self._check_earlier(name)

    def _check_earlier(self, name: str) -> None:
        """Check that the vectors that MSA moves along start at an earlier state."""
        along = self.use(name).along
        points = self.points(along) if along in self.methods else []
        late = [point for point in points if self.start_of(point) != self.before_place]
        if self.pool.files or late:
            what = f"{late[0]} starts at the original" if late else "the pool is given"
            raise UserError(f"methods.{name}: {what}, expected points with `start: before`")

    def _check_given(self, where: str, row: Model) -> None:
        """Check that models that nobody trains here are there, and that others are not."""
        if self.train:
            if row.is_of_transformers:
                raise UserError(f"{where}.train: expected null, since others made {self.model!r}")
            return
        if not row.is_of_transformers:
            raise UserError(f"{where}: the key train is missing; {self.model!r} is trained here")
        if self.base is None and row.hub is None:
            raise UserError(
                f"{where}: the key base is missing, and the row of {self.model!r} has no hub"
            )
        for task in self.tasks if methods.RETRAIN in self.methods else ():
            if task not in self.retrained and task not in row.retrained:
                raise UserError(
                    f"{where}.methods.retrain: no model is given for task {task!r}, neither in "
                    f"`retrained` nor in the row of {self.model!r}; leave the method out"
                )


EXPERIMENT = Language
