"""Networks measured on the CPU, and plans that use what was measured."""

import json

import pytest
import torch

from negmerge.cli import main
from negmerge.errors import UserError
from negmerge.planning import measuring, work
from negmerge.planning.case import Case
from negmerge.planning.describing import describe
from negmerge.planning.estimates import seconds
from negmerge.planning.measuring import measure, measure_study, networks_of
from negmerge.settings.compute import Compute
from negmerge.settings.costs import Rate, load_costs
from negmerge.settings.study import load_study

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("torch_settings")


@pytest.fixture
def study(config):
    return load_study(config, "example")


@pytest.mark.parametrize(("preset", "precision"), [("exact", "fp32"), ("fast", "bf16")])
@pytest.mark.parametrize("name", ["mini-clip", "mini-resnet"])
def test_a_network_has_rates(study, name, preset, precision):
    rate, megabytes = measure(networks_of(study)[name], Compute(preset=preset), CPU, 0.05)
    assert min(rate.train, rate.evaluate) > 0
    assert (rate.precision, rate.source) == (precision, "measured on cpu for 0.05 s")
    assert megabytes is None


def test_networks_are_those_of_the_experiments(config, study):
    experiment, found = study.experiments["mini-clip"], networks_of(study)["mini-clip"]
    assert (found.frozen, found.passed) == (experiment.freeze, experiment.eval_batch_size)
    assert found.recipe.batch_size == experiment.finetune.batch_size
    paper = networks_of(load_study(config, "paper", options=False))
    assert paper["ViT-L-14"].recipe.grad_accum_steps == 2
    # Several experiments share a model.
    assert list(paper).count("ViT-B-32") == 1


def test_every_network_of_a_study_is_measured(study):
    lines = []
    found = measure_study(study, CPU, 0.02, lines.append)
    assert list(found) == list(networks_of(study))
    assert len(lines) == len(found)


def test_no_batch_of_the_cpu_takes_minutes(study, monkeypatch):
    sizes, again = [], measuring._Again
    monkeypatch.setattr(
        measuring, "_Again", lambda images, *rest: sizes.append(images) or again(images, *rest)
    )
    measure(networks_of(study)["mini-clip"], Compute(), CPU, 1e-6)
    assert sizes == [2, 2]


def test_what_does_not_fit_into_a_gpu_is_named(study, monkeypatch):
    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(measuring, "fit", fail)
    with pytest.raises(UserError) as caught:
        measure(networks_of(study)["mini-clip"], Compute(), CPU, 0.01)
    assert str(caught.value) == (
        "mini-clip: batches of 64 to train and 50 to evaluate do not fit into the memory of cpu"
    )


def rates(train, precision="fp32"):
    rate = Rate(train=train, evaluate=40.0, source="for a test", precision=precision)
    return {"cpu": {"mini-clip": rate.model_dump()}}


def test_measured_rates_count_in_place_of_assumptions(config, study):
    names = {"experiment": "mini-clip", "task": "digits", "point": "m1-n1", "vector": "m1-n1"}

    def taken(measured, precision="fp32"):
        costs = load_costs(config, measured)
        case = Case(names, study.catalogue, costs, study.experiments["mini-clip"], precision)
        steps = work.finetune(case), work.sweep(case)
        return [seconds(done, costs, device="cpu", loaders=10**9) for done in steps]

    images, assumed = 15 * 1080, taken(None)
    slow, fast = taken(rates(5.0)), taken(rates(10.0))
    assert slow[0] - fast[0] == pytest.approx(images / 5 - images / 10)
    assert slow[1] == fast[1] > assumed[1]
    # A rate holds for its precision, and for its model.
    assert taken(rates(5.0, "bf16")) == assumed
    assert taken(rates(5.0, "bf16"), "bf16") == slow
    assert taken({"cpu": {"another": rates(5.0)["cpu"]["mini-clip"]}}) == assumed


def test_a_plan_measures(workflow, monkeypatch, capsys):
    monkeypatch.chdir(workflow)
    asked, hours = [], []

    def measured(study, device, seconds, report):
        asked.append((device, seconds))
        rate = Rate(train=7.0 / len(asked), evaluate=9.0, source="for a test")
        return dict.fromkeys(networks_of(study), rate)

    monkeypatch.setattr(measuring, "measure_study", measured)
    for words in (["--measure"], ["--measure", "4"]):
        assert main(["plan", "demo", "table4", *words, "--device", "cpu", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        hours.append({s["rule"]: s["hours"]["estimate"] for s in found["steps"]}["finetune"])
    assert asked == [(CPU, 10.0), (CPU, 4.0)]
    assert found["measured"]["cpu"]["mini-clip"]["train"] == 3.5
    assert hours[1] / hours[0] == pytest.approx(2, rel=0.01)
    assert "  mini-clip: 3.5 images a second in training, 9.0 in evaluation" in describe(found)


def test_a_plan_may_be_for_another_device(workflow, monkeypatch, capsys):
    monkeypatch.chdir(workflow)
    gpu = {}
    for device in ("cpu", "cuda"):
        assert main(["plan", "demo", "table4", "--device", device, "--json"]) == 0
        gpu[device] = json.loads(capsys.readouterr().out)["hours"]["gpu"]["estimate"]
    assert gpu["cpu"] == 0 < gpu["cuda"]


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "x"])
def test_seconds_are_above_zero(capsys, seconds):
    with pytest.raises(SystemExit):
        main(["plan", "demo", f"--measure={seconds}"])
    assert "argument --measure: " in capsys.readouterr().err
