"""The page of `make check-gpu`, with the CPU in the place of the GPU."""

import itertools
import subprocess
import sys

import pytest
import torch
from workflow_text import ROOT

# As Python does for a script that it starts.
sys.path.insert(0, str(ROOT / "benchmarks"))

import check_gpu
import gpu_parts
from gpu_parts import Part

from negmerge.merging import METHODS
from negmerge.settings.study import load_study
from negmerge.training import fit

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("torch_settings")


def cells(part):
    """The cells of the table of a part, by row."""
    rows = [line.strip("| ").split(" | ") for line in part.lines if line.startswith("| ")]
    return {name: found for name, *found in rows[2:]}


def test_the_machine_is_described():
    text = "\n".join(gpu_parts.where(CPU).lines)
    assert torch.__version__ in text
    assert "Processor: " in text


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


def test_training_is_compared_with_the_cpu_s():
    part = gpu_parts.training(CPU, steps=2)
    found = cells(part)
    assert part.passed
    for name in gpu_parts.TRAINED:
        difference, same = found[f"{name}, exact"]
        assert (float(difference), same) == (0, "yes")
        assert 0 < float(found[f"{name}, fast"][0]) < 1


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


def test_networks_that_are_repeated_are_of_the_paper_and_of_each_kind():
    paper = gpu_parts.networks_of(load_study(ROOT / "config", "paper", options=False))
    assert set(gpu_parts.REPEATED) <= set(paper)
    # The optimizers of both cases of the paper.
    assert {paper[name].recipe.optimizer for name in gpu_parts.REPEATED} == {"adamw", "sgd"}


def test_every_network_is_measured_against_the_plan(monkeypatch):
    part = gpu_parts.rates(CPU, 0.02, "demo", ways=["exact", "fast"])
    found = cells(part)
    assert list(found) == [f"mini-{kind}, {way}" for kind in ("clip", "resnet")
                           for way in ("exact", "fast")]  # fmt: skip
    for train, train_assumed, evaluate, evaluate_assumed, peak in found.values():
        for number in (train, train_assumed, evaluate, evaluate_assumed):
            assert float(number.replace(",", "")) > 0
        assert peak == "NA"

    def fail(*_):
        raise RuntimeError("no compiler\nfound")

    monkeypatch.setattr(gpu_parts, "measure", fail)
    found = cells(gpu_parts.rates(CPU, 0.02, "demo", ways=["fast, compiled"]))
    assert found["mini-clip, fast, compiled"][0] == "failed: no compiler found"


def test_all_networks_of_the_paper_can_be_built():
    paper = gpu_parts.networks_of(load_study(ROOT / "config", "paper", options=False))
    assert list(paper) == ["ViT-B-32", "ViT-B-16", "ViT-L-14", "ResNet-18", "VGG-16-BN",
                           "ResNet-18-224", "Swin-T"]  # fmt: skip
    with torch.device("meta"):
        for name in ("ResNet-18", "VGG-16-BN", "ResNet-18-224", "Swin-T"):
            paper[name].build()


def test_the_tests_are_run(tmp_path):
    (tmp_path / "test_one.py").write_text("def test_right(): pass\ndef test_wrong(): assert 0\n")
    part = gpu_parts.tests([str(tmp_path / "test_one.py")])
    assert not part.passed
    assert "1 failed, 1 passed" in part.lines[0]
    assert part.lines[1].endswith("test_one.py::test_wrong`")
    assert all((ROOT / place).exists() for place in gpu_parts.TESTS)


def test_what_one_process_loads_is_said(monkeypatch):
    monkeypatch.setattr(gpu_parts.loader, "PHOTOGRAPHS", {"500 x 375": (300, 230, 2, 2)})
    assert "images a second: `exact` " in gpu_parts.loading(rounds=1).lines[0]


def test_the_experiment_is_a_part_of_a_study_and_small():
    study = load_study(ROOT / "config", "check-gpu")
    assert study.device == "cuda"
    assert len(study.experiments["resnet-18"].pool.changes) == 4
    assert list(study.tables) == ["table2"]


def test_the_experiment_runs_and_is_compared_with_its_plan(editable, monkeypatch):
    monkeypatch.chdir(editable.folder)
    name = next(iter(load_study("config", "tiny").tables))
    (editable.folder / "results" / "tiny" / "tables" / f"{name}.md").unlink()
    part = gpu_parts.experiment(CPU, "tiny")
    assert part.passed
    assert part.lines[0].startswith("`tiny`: 1 jobs in ")
    assert " minutes; planned, one after the other, " in part.lines[0]
    assert part.lines[-1] == (editable.folder / "results/tiny/tables" / f"{name}.md").read_text()
    assert "table" in gpu_parts.LOG.read_text()


def test_an_experiment_that_fails_shows_its_log(editable, monkeypatch):
    monkeypatch.chdir(editable.folder)
    name = next(iter(load_study("config", "tiny").tables))
    (editable.folder / "results" / "tiny" / "tables" / f"{name}.md").unlink()
    (editable.folder / "workflow" / "scripts" / "table.py").write_text("raise OSError('no luck')")
    part = gpu_parts.experiment(CPU, "tiny")
    assert not part.passed
    assert part.lines[0] == "It failed:"
    assert "At least one job did not complete successfully." in part.lines[2]


def test_a_part_that_fails_leaves_the_others(monkeypatch, capsys):
    def fail():
        raise ValueError("strange machine")

    made = list(check_gpu.run({"one": fail, "two": lambda: Part("Two", ["fine"])}))
    assert [part.passed for part in made] == [False, True]
    text = check_gpu.page(made)
    assert "## one: not as it should be\n\n**failed**: ValueError: strange machine\n" in text
    assert "## Two\n\nfine\n" in text


def test_without_a_gpu_there_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit) as caught:
        check_gpu.main([])
    assert str(caught.value).startswith("error: the device is cuda, but torch ")


def test_the_program_prints_the_page(tmp_path):
    skipped = ["tests", "merges", "training", "repeats", "rates", "loading", "experiment"]
    command = [sys.executable, "benchmarks/check_gpu.py", "--device", "cpu", "--skip", *skipped]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("# check-gpu\n\n## Machine\n\n- ")
