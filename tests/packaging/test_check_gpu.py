"""The page of `make check-gpu`, with the CPU in the place of the GPU."""

import itertools

import gpu_parts
import pytest
import torch

from negmerge.merging import METHODS
from negmerge.settings.study import load_study
from negmerge.training import fit

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("torch_settings")


def cells(part):
    """The cells of the table of a part, by row."""
    rows = [line.strip("| ").split(" | ") for line in part.lines if line.startswith("| ")]
    return {name: found for name, *found in rows[2:]}


def test_merges_are_compared_to_the_byte(monkeypatch):
    part = gpu_parts.merges(CPU, numbers=2000)
    assert part.passed
    assert {name: found[0] for name, found in cells(part).items()} == dict.fromkeys(METHODS, "yes")
    merge, devices = gpu_parts.merge_files, iter(range(100))

    def broken(method, paths, output, **how):
        merge(method, paths, output, **how)
        if next(devices) % 2:  # the second time, which is the GPU's
            output.write_bytes(output.read_bytes()[:-1] + b"x")

    monkeypatch.setattr(gpu_parts, "merge_files", broken)
    part = gpu_parts.merges(CPU, numbers=2000)
    assert not part.passed
    assert {found[0] for found in cells(part).values()} == {"**no**"}


def test_the_experiment_runs_and_is_compared_with_its_plan(editable, monkeypatch):
    monkeypatch.chdir(editable.folder)
    name = next(iter(load_study("config", "tiny").tables))
    # As long as the report is there, Snakemake does not miss what it was made of.
    for place in (f"tables/{name}.md", "report.html"):
        (editable.folder / "results" / "tiny" / place).unlink()
    part = gpu_parts.experiment(CPU, "tiny")
    assert part.passed
    assert part.lines[0].startswith("`tiny`: 1 jobs in ")
    assert " minutes; planned, one after the other, " in part.lines[0]
    assert part.lines[-1] == (editable.folder / "results/tiny/tables" / f"{name}.md").read_text()
    assert "table" in gpu_parts.LOG.read_text()


def test_training_is_repeated_and_what_does_not_repeat_is_found(monkeypatch):
    names = ["mini-clip", "mini-resnet"]
    part = gpu_parts.repeats(CPU, "demo", names)
    assert part.passed
    assert cells(part) == {name: ["yes"] * len(gpu_parts.PRECISIONS) for name in names}
    calls = itertools.count()

    def noisy(model, *given, **options):
        """Training whose last bits differ each time, as where a GPU adds up in any order."""
        fit(model, *given, **options)
        with torch.no_grad():
            weight = next(model.parameters()).flatten()[:1]
            weight.copy_(torch.nextafter(weight, weight + 1) if next(calls) % 2 else weight)

    monkeypatch.setattr(gpu_parts, "fit", noisy)
    part = gpu_parts.repeats(CPU, "demo", names[:1])
    assert not part.passed
    assert cells(part) == {"mini-clip": ["**no**"] * len(gpu_parts.PRECISIONS)}

    def fail(*given, **options):
        raise RuntimeError("cumsum_cuda_kernel does not have a deterministic implementation")

    monkeypatch.setattr(gpu_parts, "fit", fail)
    part = gpu_parts.repeats(CPU, "demo", names[:1])
    assert not part.passed
    assert all("cumsum_cuda_kernel" in cell for cell in cells(part)["mini-clip"])
