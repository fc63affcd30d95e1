"""Pools of small models that are fine-tuned for real, and unlearned by the command."""

import contextlib
import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from negmerge import apply, merge, task_vector
from negmerge.cli import main

COEFFICIENT = 0.75
RATES = (0.02, 0.05, 0.1)

Outputs = Callable[[nn.Module, int], Tensor]


def images(seed: int, side: int) -> Tensor:
    """Return four images of noise, with three channels."""
    return torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(seed))


def words(seed: int) -> Tensor:
    """Return four texts, as numbers of words below 60."""
    return torch.randint(3, 60, (4, 8), generator=torch.Generator().manual_seed(seed))


def fine_tuned(base: nn.Module, outputs: Outputs) -> list[nn.Module]:
    """Train copies of a model for a few steps each with made-up labels, at other rates."""
    pool = []
    for member, rate in enumerate(RATES):
        model = copy.deepcopy(base).train()
        optimiser = torch.optim.SGD(model.parameters(), rate)
        for step in range(3):
            optimiser.zero_grad()
            scores = outputs(model, 10 * member + step).float().flatten(0, -2)
            cross_entropy(scores, torch.arange(len(scores)) % scores.shape[-1]).backward()
            optimiser.step()
        pool.append(model.eval())
    return pool


def forget(base: nn.Module, pool: list[nn.Module]) -> nn.Module:
    """Unlearn in memory, by the library's plain functions."""
    vectors = [task_vector(base.state_dict(), model.state_dict()) for model in pool]
    model = copy.deepcopy(base)
    model.load_state_dict(apply(base.state_dict(), merge("negmerge", vectors), -COEFFICIENT))
    return model.eval()


def save(
    base: nn.Module, pool: list[nn.Module], write: Callable[[nn.Module, Path], object], folder: Path
) -> None:
    """Write a base and a pool as a program does, into places that `run` takes."""
    for name, model in {"base": base, **{f"pool-{n}": m for n, m in enumerate(pool)}}.items():
        write(model, folder / name)


def run(
    folder: Path, *more: str, base: str = "base", output: str = "out", c: float = COEFFICIENT
) -> None:
    """Run `negmerge unlearn` on a base and the pool beside it."""
    members = sorted(path.name for path in folder.glob("pool-*"))
    assert len(members) == len(RATES)
    with contextlib.chdir(folder):
        assert main(["unlearn", base, *members, "-o", output, f"--coefficient={c}", *more]) == 0


def compare(outputs: Outputs, loaded: nn.Module, expected: nn.Module, base: nn.Module) -> None:
    """Check that a loaded model computes what one in memory does, and the base does not."""
    # Tables that are computed, not stored, lose digits when a model is cast in memory.
    same = copy.deepcopy(loaded)
    same.load_state_dict(expected.state_dict())
    with torch.no_grad():
        found, wanted, before = (outputs(m.eval().float(), 99) for m in (loaded, same, base))
    assert torch.equal(found, wanted)
    assert not torch.allclose(wanted, before, atol=1e-3)
