"""The one training loop of the project."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from negmerge import curves
from negmerge.checkpoints.states import require_finite
from negmerge.errors import NotFinite, UserError
from negmerge.log_lines import SEEN
from negmerge.seeds import derive_seed
from negmerge.settings.recipe import Recipe

REPORT_SECONDS = 5.0


@dataclass(frozen=True)
class TrainingState:
    """What a training run changes."""

    model: nn.Module
    optimizer: Optimizer
    generators: Sequence[torch.Generator] = ()  # of the loss, beside torch's global ones


class Resumable(Protocol):
    """Saves a run on its way, and brings it back; see `jobs.resuming.SavedState`."""

    def restore(self, training: TrainingState, steps: int) -> int:
        """Bring a run of `steps` steps back to where it was saved; return the steps done."""

    def watching(self) -> AbstractContextManager:
        """Note that the run is to be stopped, for `after_step`."""

    def after_step(self, training: TrainingState, done: int, steps: int) -> None:
        """Save the run if it is time to, or if it is to be stopped."""


def learning_rate(step: int, peak: float, warmup: int, steps: int) -> float:
    """Return the rate of one step: linear warm-up, then half a cosine down to 0.

    peak * (step + 1) / warmup while step < warmup; a run that is shorter than its warm-up never
    reaches the peak. As in gortizji/tangent_task_arithmetic. Steps count from 0.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / (steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress)) * peak


def scheduled_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the rate of one step by the recipe's schedule, each of which starts with the warm-up.

    A step's epoch, from 0, is step * epochs // steps; from epoch m on, milestone m is passed.
    """
    if step < recipe.warmup_steps or recipe.schedule == "cosine":
        return learning_rate(step, recipe.learning_rate, recipe.warmup_steps, steps)
    if recipe.schedule == "constant":
        return recipe.learning_rate
    epoch = step * recipe.epochs // steps
    passed = sum(epoch >= milestone for milestone in recipe.milestones)
    return recipe.learning_rate * recipe.decay**passed


def fit(
    model: nn.Module,
    batches: Iterable[tuple],
    batch_count: int,
    loss: Callable[..., Tensor],
    recipe: Recipe,
    device: torch.device,
    report: Callable[[str], None] = print,
    after_step: Callable[[Optimizer], None] | None = None,
    *,
    seed: int = 0,
    generators: Sequence[torch.Generator] = (),
    saved: Resumable | None = None,
    fused: bool = False,
) -> None:
    """Train the parameters of a model that require a gradient, in place and in training mode.

    `batches` are tuples that begin with the items; their tensors are moved to `device`, and `loss`
    takes all members. `batch_count` is that of all epochs. `report` takes a line every 5 seconds;
    `after_step` may change parameters. `seed` is of what the model draws, such as dropout.

    `saved` lets a run that was cut off go on to the same numbers: `batches` are then
    `data.loading.TrainingBatches`, and nothing but `generators`, from which `loss` draws, is
    remembered from step to step.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = _optimizer(parameters, recipe, fused)
    steps = batch_count // recipe.grad_accum_steps
    if steps < 1:
        raise UserError(
            f"{batch_count} batches in all epochs, but grad_accum_steps is "
            f"{recipe.grad_accum_steps}: not one step"
        )
    run = TrainingState(model, optimizer, generators)
    done = 0
    if saved is not None:
        done = saved.restore(run, steps)
        batches = batches.after(done * recipe.grad_accum_steps)
    progress = _Progress(done, steps, report)
    model.train()
    with saved.watching() if saved is not None else nullcontext():
        for step, group in enumerate(_groups(batches, recipe.grad_accum_steps), done):
            rate = scheduled_rate(recipe, step, steps)
            for parameter_group in optimizer.param_groups:
                parameter_group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            _seed_step(seed, step, device)
            total = torch.zeros((), device=device)
            divisor = len(group) if recipe.grad_accum_reduction == "mean" else 1
            for batch in group:
                part = loss(*(_moved(member, device) for member in batch))
                (part / divisor).backward()
                total += part.detach() / len(group)
                progress.images += len(batch[0])
            if recipe.max_grad_norm is not None:
                nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm)
            optimizer.step()
            if after_step is not None:
                after_step(optimizer)
            progress.after(step, total, rate)
            if saved is not None:
                saved.after_step(run, step + 1, steps)
    # What was done before a run was cut off counts, too; with batches of other sizes nearly so.
    report(SEEN.format(round(progress.images * steps / max(steps - done, 1))))
    # The loss is not looked at in each step, and the last step may be the one that diverges.
    for name, tensor in model.state_dict().items():
        require_finite(tensor, name, f"after {steps} steps of training; lower the rate")


def _optimizer(parameters: list[nn.Parameter], recipe: Recipe, fused: bool) -> Optimizer:
    # torch takes None for the choice that it would make itself, and False for the slowest.
    choice = True if fused else None
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=recipe.nesterov,
            fused=choice,
        )
    return torch.optim.AdamW(
        parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=choice
    )


def _seed_step(seed: int, step: int, device: torch.device) -> None:
    """Seed what the model draws in one step, whatever this process has drawn before."""
    chosen = derive_seed(seed, f"step {step}")
    # torch.manual_seed takes longer: it also notes the seed for devices that are not in use.
    torch.default_generator.manual_seed(chosen)
    if device.type == "cuda":
        torch.cuda.manual_seed(chosen)


def _moved(member: object, device: torch.device) -> object:
    return member.to(device, non_blocking=True) if isinstance(member, Tensor) else member


def _groups(batches: Iterable, size: int) -> Iterator[list]:
    """Yield `size` batches at a time, of two epochs where one ends between them.

    A rest that is too small for a step is left out at the end of the run. Code that counts anew in
    each epoch adds such a rest to the next epoch's first step, see docs/deviations.md.
    """
    group = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []


class _Progress:
    """Reports a run every few seconds, and stops it when the loss is not finite."""

    def __init__(self, done: int, steps: int, report: Callable[[str], None]):
        self.done, self.steps, self.report, self.images = done, steps, report, 0
        self.start = self.last = time.monotonic()
        self.write, self.unwritten = curves.begin(), []

    def after(self, step: int, loss: Tensor, rate: float) -> None:
        now = time.monotonic()
        if self.write:  # later, since a GPU would have to be waited for in each step
            self.unwritten.append((step + 1, loss, rate))
        if self.done < step < self.steps - 1 and now - self.last < REPORT_SECONDS:
            return
        self.last = now
        value = loss.item()
        for number, tensor, of_step in self.unwritten:
            self.write(number, {"loss": tensor.item(), "rate": of_step})
        self.unwritten.clear()
        if not math.isfinite(value):
            raise NotFinite(f"step {step + 1} of {self.steps}: the loss is {value}; lower the rate")
        elapsed = max(now - self.start, 1e-9)
        left = elapsed / (step + 1 - self.done) * (self.steps - step - 1)
        self.report(
            f"step {step + 1}/{self.steps}  loss {value:.4f}  rate {rate:.2e}  "
            f"{self.images / elapsed:.0f} items/s  {left:.0f} s left"
        )
