"""The one training loop of the project."""

import math
import time
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from negmerge.errors import UserError
from negmerge.recipe import Recipe

REPORT_SECONDS = 5.0


def learning_rate(step: int, peak: float, warmup: int, steps: int) -> float:
    """Give the rate of one step: linear warm-up, then half a cosine down to 0.

    peak * (step + 1) / warmup while step < warmup; a run that is shorter than its warm-up never
    reaches the peak. As in gortizji/tangent_task_arithmetic.

    Args:
        step: from 0.
        peak: the highest rate.
        warmup: steps of warm-up.
        steps: steps of the whole run.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / (steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress)) * peak


def fit(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    batch_count: int,
    loss: Callable[[Tensor, Tensor], Tensor],
    recipe: Recipe,
    device: torch.device,
    report: Callable[[str], None] = print,
) -> None:
    """Train the parameters of a model that require a gradient, in place.

    Args:
        model: the model, on `device`.
        batches: images and labels; see `data.loading.training_batches`.
        batch_count: how many batches there are in all epochs.
        loss: from images and labels to a scalar; it calls the model.
        recipe: optimiser, schedule, clipping and accumulation.
        device: where the batches are moved.
        report: takes a line with step, loss, rate, speed and remaining time, every 5 seconds.

    Raises:
        UserError: the loss is not finite, or there are too few batches for a step.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    steps = batch_count // recipe.accumulation
    if steps < 1:
        raise UserError(
            f"{batch_count} batches in all epochs, but accumulation is {recipe.accumulation}: "
            "not one step"
        )
    progress = _Progress(steps, report)
    model.train()
    for step, group in enumerate(_groups(batches, recipe.accumulation)):
        rate = learning_rate(step, recipe.learning_rate, recipe.warmup_steps, steps)
        for parameter_group in optimiser.param_groups:
            parameter_group["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), device=device)
        for images, labels in group:
            images = images.to(device, non_blocking=True)
            labels = labels.to(device, non_blocking=True)
            part = loss(images, labels) / len(group)
            part.backward()
            total += part.detach()
            progress.images += len(images)
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
        optimiser.step()
        progress.after(step, total, rate)


def _groups(batches: Iterable, size: int) -> Iterator[list]:
    """Give `size` batches at a time; a rest that is too small for a step is left out."""
    group = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []


class _Progress:
    """Reports a run every few seconds, and stops it when the loss is not finite."""

    def __init__(self, steps: int, report: Callable[[str], None]):
        self.steps, self.report, self.images = steps, report, 0
        self.start = self.last = time.monotonic()

    def after(self, step: int, loss: Tensor, rate: float) -> None:
        now = time.monotonic()
        if step + 1 < self.steps and step > 0 and now - self.last < REPORT_SECONDS:
            return
        self.last = now
        value = loss.item()
        if not math.isfinite(value):
            raise UserError(f"step {step + 1} of {self.steps}: the loss is {value}; lower the rate")
        elapsed = max(now - self.start, 1e-9)
        left = elapsed / (step + 1) * (self.steps - step - 1)
        self.report(
            f"step {step + 1}/{self.steps}  loss {value:.4f}  rate {rate:.2e}  "
            f"{self.images / elapsed:.0f} images/s  {left:.0f} s left"
        )
