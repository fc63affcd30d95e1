"""The training runs of an experiment; one that would fail after hours is refused at once."""

from dataclasses import dataclass

from negmerge.errors import UserError
from negmerge.settings.recipe import Recipe

# The images of a task by role and purpose: `train`, `select` and `score`.
Counts = dict[str, dict[str, int]]


def training_images(counts: Counts | None, *roles: str) -> tuple[int, ...] | None:
    """Return how many training images each role has; None if that is not known yet."""
    return counts and tuple(counts[role]["train"] for role in roles)


@dataclass(frozen=True)
class Run:
    """A training run."""

    where: str  # the key that sets its recipe, and which of the runs that share it this is
    recipe: Recipe  # its settings
    # The images of each pass of an epoch; None where they cannot be counted yet.
    images: tuple[int, ...] | None

    @property
    def steps(self) -> int | None:
        """Steps of the optimizer: those of `training.fit`, which groups batches over all epochs."""
        if self.images is None:
            return None
        batches = sum(-(-count // self.recipe.batch_size) for count in self.images)
        return self.recipe.epochs * batches // self.recipe.grad_accum_steps


def check_run(where: str, run: Run) -> None:
    """Check that a run has a step, comes to the end of its warm-up, and passes its milestones."""
    recipe, place = run.recipe, f"{where}.{run.where}"
    late = [milestone for milestone in recipe.milestones if milestone >= recipe.epochs]
    if recipe.schedule == "steps" and (late or not recipe.milestones):
        milestones = f"milestones {late}" if late else "no milestones"
        raise UserError(
            f"{place}: schedule steps has {milestones}, but the run has {recipe.epochs} epochs; "
            f"expected milestones below {recipe.epochs}, or another schedule"
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
