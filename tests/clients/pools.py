"""Pools of small models that are fine-tuned for real, and unlearned by the command."""

import contextlib
import copy
import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from negmerge.cli import main
from negmerge.merging import merge
from negmerge.vectors import apply, task_vector

COEFFICIENT = 0.75
RATES = (0.02, 0.05, 0.1)


def images(seed: int, side: int) -> Tensor:
    """Return four images of noise, with three channels."""
    return torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(seed))


def fine_tuned(model: nn.Module, loss: Callable[[nn.Module, int], Tensor]) -> list[nn.Module]:
    """Train copies of a model for a few steps each, at other rates and on other batches."""
    pool = []
    for member, rate in enumerate(RATES):
        trained = copy.deepcopy(model).train()
        optimiser = torch.optim.SGD(trained.parameters(), rate)
        for step in range(3):
            optimiser.zero_grad()
            loss(trained, 10 * member + step).backward()
            optimiser.step()
        pool.append(trained.eval())
    return pool


def forget(base: nn.Module, pool: list[nn.Module]) -> nn.Module:
    """Unlearn in memory, by the library's plain functions."""
    state = unlearned(base.state_dict(), [model.state_dict() for model in pool])
    model = copy.deepcopy(base)
    model.load_state_dict(state)
    return model.eval()


def unlearned(base: Mapping[str, Tensor], pool: list[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Compute the state of a model that has unlearned."""
    vectors = [task_vector(base, state) for state in pool]
    return apply(base, merge("negmerge", vectors), -COEFFICIENT)


def run(
    folder: Path, base: str, *more: str, output: str = "out", coefficient: float = COEFFICIENT
) -> str:
    """Run `negmerge unlearn` on a base and the pool beside it, and return what it printed."""
    members = sorted(path.name for path in folder.glob("pool-*"))
    assert len(members) == len(RATES)
    words = ["unlearn", base, *members, "-o", output, f"--coefficient={coefficient}", *more]
    printed = io.StringIO()
    with contextlib.chdir(folder), redirect_stdout(printed), redirect_stderr(printed):
        status = main(words)
    assert status == 0, printed.getvalue()
    return printed.getvalue()


def loss_of(outputs: Callable[[nn.Module, int], Tensor]) -> Callable[[nn.Module, int], Tensor]:
    """Return a loss with made-up labels, which moves all parameters behind the outputs."""

    def loss(model: nn.Module, seed: int) -> Tensor:
        found = outputs(model, seed).float().flatten(0, -2)
        return cross_entropy(found, torch.arange(len(found)) % found.shape[-1])

    return loss


def compare(
    outputs: Callable[[nn.Module, int], Tensor],
    found: nn.Module,
    expected: nn.Module,
    base: nn.Module,
) -> None:
    """Check that a loaded model computes what one in memory does, and the base does not."""
    # Tables that are computed, not stored, lose digits when a model is cast in memory.
    same = copy.deepcopy(found)
    same.load_state_dict(expected.state_dict())
    with torch.no_grad():
        loaded, wanted, before = (outputs(one.float(), 99) for one in (found, same, base))
    assert torch.equal(loaded, wanted)
    assert not torch.allclose(wanted, before, atol=1e-3)
