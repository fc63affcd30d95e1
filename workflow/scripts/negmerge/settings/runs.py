"""The training runs of an experiment, and whether each can do what its settings say.

What would fail only after hours of training, or silently do something else, is refused when the
study is read. The sizes of data sets are those of their rows, which `prepare` holds to be true.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from negmerge import plugins
from negmerge.errors import UserError
from negmerge.settings import methods
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.classifier import Classifier
from negmerge.settings.counts import PURPOSES, Counts, part_sizes, role_counts
from negmerge.settings.experiment import Experiment
from negmerge.settings.recipe import Recipe
from negmerge.settings.zero_shot import ZeroShot

# What the images of each role of the scenario `zero-shot` are needed for.
NEEDS = {"forget": ("train", "select", "score"), "control": ("select", "score")}


@dataclass(frozen=True)
class Run:
    """A training run.

    Attributes:
        where: the key that sets its recipe, and which of the runs that share it this is.
        recipe: its settings.
        images: the images of each pass of an epoch; None where they cannot be counted yet.
    """

    where: str
    recipe: Recipe
    images: tuple[int, ...] | None

    @property
    def steps(self) -> int | None:
        """Steps of the optimizer: those of `training.fit`, which groups batches over all epochs."""
        if self.images is None:
            return None
        batches = sum(-(-count // self.recipe.batch_size) for count in self.images)
        return self.recipe.epochs * batches // self.recipe.grad_accum_steps


def check_sizes(where: str, experiment: Experiment, known: Catalogue) -> None:
    """Check that images suffice for all that uses them, and each run for its schedule.

    A list of images to forget that cannot be read is left to the rule `split`, which reads it at
    once; how many images it leaves to train with is then not checked.

    Raises:
        UserError: what is wrong; it begins with `where`.
    """
    for task in experiment.task_names:
        counts = _counts(where, experiment, task, known)
        for run in runs(experiment, task, counts, known):
            check_run(where, run)
        if isinstance(experiment, Classifier):
            break  # trials differ in seeds only


def check_run(where: str, run: Run) -> None:
    """Check that a run has a step, comes to the end of its warm-up, and passes its milestones.

    Raises:
        UserError: it does not; it begins with `where`.
    """
    recipe, place = run.recipe, f"{where}.{run.where}"
    late = [milestone for milestone in recipe.milestones if milestone >= recipe.epochs]
    if recipe.schedule == "steps" and (late or not recipe.milestones):
        found = f"milestones {late}" if late else "no milestones"
        raise UserError(
            f"{place}: schedule steps has {found}, but the run has {recipe.epochs} epochs, so the "
            f"rate does not fall as it says; expected milestones below {recipe.epochs}, or another "
            "schedule"
        )
    if run.steps is None:
        return
    images = " + ".join(f"{count:,}" for count in run.images)
    made_of = f"{recipe.epochs} epochs of {images} images in batches of {recipe.batch_size}"
    if run.steps < 1:
        raise UserError(
            f"{place}: grad_accum_steps is {recipe.grad_accum_steps}, but {made_of} have "
            "fewer batches: not one step"
        )
    if recipe.warmup_steps > run.steps:
        raise UserError(
            f"{place}: warmup_steps is {recipe.warmup_steps}, but {made_of} are {run.steps} steps; "
            f"expected at most {run.steps}"
        )


def runs(
    experiment: Experiment, task: str, counts: Counts | None, known: Catalogue
) -> Iterator[Run]:
    """List the training runs of a task.

    Args:
        experiment: the experiment.
        task: the task.
        counts: its images by role, from `role_counts`; None where they cannot be counted.
        known: the rows of data sets.
    """
    train = {role: found["train"] for role, found in counts.items()} if counts else None

    def images(*roles: str) -> tuple[int, ...] | None:
        return train and tuple(train[role] for role in roles)

    if isinstance(experiment, ZeroShot) and experiment.pretrain is not None:
        shown = sum(
            part_sizes(known, name)[source.part] * source.repeat
            for name, source in experiment.pretrain.sources.items()
        )
        yield Run("pretrain.recipe", experiment.pretrain.recipe, (shown,))
    if isinstance(experiment, Classifier):
        yield Run("train (original)", experiment.train, images("original"))
        yield Run("train (retrain)", experiment.train, images("retain"))
        yield from _unlearning(experiment, images)
    for point in experiment.pool.changes:
        recipe = experiment.recipe(task, point)
        yield Run(f"finetune ({task}, point {point})", recipe, images("forget"))


def _unlearning(experiment: Classifier, images) -> Iterator[Run]:
    """List the runs of methods that train.

    A method that reads both sets makes at most the steps that are counted here.
    """
    shared = experiment.unlearn
    if shared.schedule != "steps" and not shared.warmup_steps and shared.grad_accum_steps == 1:
        return  # Nothing can be wrong, and the methods' files, which import torch, stay unread.
    for name, use in experiment.methods.items():
        if methods.kind(name) != "unlearn":
            continue
        method = plugins.load(plugins.UNLEARN_METHODS, methods.base_name(name)).METHOD
        for given in methods.combinations(use):
            options = method.check(name, given)
            epochs = getattr(options, "epochs", None)
            if epochs is not None:
                used = method.used_data(options)
                roles = ("forget", "retain") if used == "all" else (used,)
                recipe = shared.model_copy(update={"epochs": epochs})
                searched = ", ".join(f"{option} {given[option]}" for option in use.grid)
                place = f"methods.{name}" + (f", {searched}" if searched else "")
                yield Run(f"unlearn ({place})", recipe, images(*roles))


def _counts(where: str, experiment: Experiment, task: str, known: Catalogue) -> Counts | None:
    """Count the images of a task, and check that each role has some of each kind."""
    if isinstance(experiment, ZeroShot):
        counts = role_counts(experiment, task, known)
        for role, dataset in experiment.roles(task).items():
            for purpose in NEEDS[role]:
                if not counts[role][purpose]:
                    raise UserError(
                        f"{where}: data set {dataset!r} is the {role} set, but has no "
                        f"{PURPOSES[purpose]} images; its splits are "
                        f"{', '.join(known.datasets[dataset].splits)}"
                    )
        return counts
    try:
        counts = role_counts(experiment, task, known)
    except UserError:
        return None
    forget, retain = counts["forget"]["train"], counts["retain"]["train"]
    if min(forget, retain) < 1:
        raise UserError(
            f"{where}.forget: {forget} of {forget + retain} images are forgotten, expected at "
            "least 1 to forget and 1 to keep"
        )
    return counts
