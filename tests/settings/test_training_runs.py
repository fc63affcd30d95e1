"""Images suffice for all that uses them, and each training run does what its schedule says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.data.loading import TrainingBatches
from negmerge.errors import UserError
from negmerge.settings.recipe import Recipe
from negmerge.settings.runs import Run, check_run
from negmerge.training import learning_rate, scheduled_rate

CLIP, RESNET = "experiments/mini-clip", "experiments/mini-resnet"
AT_CLIP, AT_RESNET = "experiments.mini-clip", "experiments.mini-resnet"


@given(
    epochs=st.integers(1, 4),
    images=st.integers(1, 50),
    batch_size=st.integers(1, 20),
    grad_accum_steps=st.integers(1, 5),
)
def test_the_steps_are_those_of_the_training_loop(epochs, images, batch_size, grad_accum_steps):
    recipe = Recipe(epochs=epochs, batch_size=batch_size, grad_accum_steps=grad_accum_steps)
    batches = len(TrainingBatches(range(images), None, recipe, 0))
    assert Run("x", recipe, (images,)).steps == batches // grad_accum_steps
    assert Run("x", recipe, None).steps is None


@given(st.integers(1, 12), st.integers(0, 40), st.integers(1, 30), st.lists(st.integers(1, 12)))
def test_what_passes_reaches_its_peak_and_its_last_milestone(epochs, warmup, images, milestones):
    recipe = Recipe(
        epochs=epochs, warmup_steps=warmup, batch_size=4, schedule="steps", milestones=milestones
    )
    run = Run("x", recipe, (images,))
    try:
        check_run("y", run)
    except UserError:
        lowers = bool(milestones) and max(milestones) < epochs
        assert warmup > run.steps or not lowers
    else:
        peak = recipe.learning_rate
        rates = [learning_rate(step, peak, warmup, run.steps) for step in range(run.steps)]
        assert max(rates) == peak
        last = scheduled_rate(recipe, run.steps - 1, run.steps)
        assert last <= peak
        if warmup < run.steps:
            assert last == pytest.approx(peak * recipe.decay ** len(milestones))


def test_the_passes_of_a_method_are_those_over_the_sets_that_it_reads(spoil, example_with):
    epochs = {"random-label-forget": 2, "gradient-ascent": 50}
    example_with({f"{RESNET}/methods/{name}": {"epochs": n} for name, n in epochs.items()})
    assert spoil(f"{RESNET}/unlearn", {"warmup_steps": 19}) == (
        f"{AT_RESNET}.unlearn (methods.random-label-forget): warmup_steps is 19, but 2 epochs of "
        "200 + 1,800 images in batches of 256 are 18 steps; expected at most 18"
    )


def test_of_a_list_that_cannot_be_read_yet_only_the_milestones_are_checked(example_with, tmp_path):
    given = tmp_path / "forget.txt"
    forget = {"rule": "given", "file": str(given)}
    example_with({f"{RESNET}/forget": forget, f"{RESNET}/finetune/warmup_steps": 50})
    given.write_text("3\n5\n")
    with pytest.raises(UserError, match=r"16 epochs of 2 images in batches of 128 are 16 steps"):
        example_with()
    given.unlink()
    with pytest.raises(UserError, match=r"schedule steps has milestones \[99\]"):
        example_with({f"{RESNET}/train/milestones": [99], f"{RESNET}/train/schedule": "steps"})
