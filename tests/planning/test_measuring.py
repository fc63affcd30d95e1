"""Networks measured on the CPU, and plans that use what was measured."""

import json

import pytest
import torch

from negmerge.cli import main
from negmerge.errors import UserError
from negmerge.planning import measuring, work
from negmerge.planning.estimates import seconds
from negmerge.planning.measuring import Network, measure, measure_study, network_of
from negmerge.planning.plan import describe
from negmerge.planning.work import Case
from negmerge.settings.compute import Compute
from negmerge.settings.costs import Rates, load_costs
from negmerge.settings.recipe import Recipe
from negmerge.settings.study import load_study

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _restore():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("default")
    torch.utils.deterministic.fill_uninitialized_memory = True


@pytest.fixture
def study(config):
    return load_study(config, "example")


@pytest.mark.parametrize("preset", ["exact", "fast"])
@pytest.mark.parametrize("name", ["mini-clip", "mini-resnet"])
def test_a_network_has_rates(study, name, preset):
    network = network_of(study.experiments[name], study)
    found = measure(network, Compute(preset=preset), CPU, 0.05)
    assert min(found.evaluation, found.training) > 0
    assert found.megabytes is None


def test_a_network_is_that_of_the_experiment(config, study):
    experiment = study.experiments["mini-clip"]
    found = network_of(experiment, study)
    assert (found.mode, found.frozen, found.passed) == ("standard", experiment.freeze, 50)
    assert found.recipe.batch_size == experiment.finetune.batch_size
    paper = load_study(config, "paper", options=False)
    linear = network_of(paper.experiments["vit-b-32-linear"], paper)
    assert (linear.mode, linear.frozen) == ("linear", "nothing")


def test_a_linear_network_is_measured_in_its_tangent_space(study):
    row = study.catalogue.models["mini-clip"].model_dump()
    network, head = Network(row, "mini-clip", Recipe(epochs=1), mode="linear").build()
    assert type(network).__name__ == "TangentEncoder"
    assert head.shape[1] == network(torch.zeros(1, 3, 32, 32)).shape[1]


def test_equal_networks_are_measured_once(config, monkeypatch):
    paper, measured, lines = load_study(config, "paper", options=False), [], []
    rates = Rates(training=1, evaluation=2)
    monkeypatch.setattr(measuring, "measure", lambda network, *_: measured.append(network) or rates)
    found = measure_study(paper, CPU, 1, lines.append)
    assert list(found) == list(paper.experiments)
    # With and without RandAugment a network takes the same time.
    titles = [(network.title, network.mode) for network in measured]
    assert titles.count(("ViT-B-32", "standard")) == 1
    assert titles.count(("ViT-B-32", "linear")) == 1
    assert len(lines) == len(measured) < len(paper.experiments)


def test_no_batch_of_the_cpu_takes_minutes(study, monkeypatch):
    network = network_of(study.experiments["mini-clip"], study)
    sizes, again = [], measuring._Again
    monkeypatch.setattr(
        measuring, "_Again", lambda images, *rest: sizes.append(images) or again(images, *rest)
    )
    measure(network, Compute(), CPU, 1e-6)
    assert sizes == [2, 2]


def test_what_does_not_fit_into_a_gpu_is_named(study, monkeypatch):
    def fail(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(measuring, "fit", fail)
    network = network_of(study.experiments["mini-clip"], study)
    with pytest.raises(UserError) as caught:
        measure(network, Compute(), CPU, 0.01)
    assert str(caught.value) == (
        "mini-clip: batches of 64 to train and 50 to evaluate do not fit into the memory of cpu"
    )


def test_measured_rates_count_in_place_of_assumptions(config, study):
    names = {"experiment": "mini-clip", "task": "digits", "point": "m1-n1", "vector": "m1-n1"}
    experiment = study.experiments["mini-clip"]
    found = {}
    for rates in (
        None,
        {"training": 10.0, "evaluation": 40.0},
        {"training": 5.0, "evaluation": 40.0},
    ):
        costs = load_costs(config, rates and {"mini-clip": rates})
        case = Case(names, study.catalogue, costs, experiment)
        steps = work.finetune(case), work.sweep(case)
        speed = rates and rates["training"]
        found[speed] = [seconds(done, costs, gpu=True, loaders=10**9) for done in steps]
    images = 15 * 1080
    assert found[5.0][0] - found[10.0][0] == pytest.approx(images / 5 - images / 10)
    assert found[5.0][1] == found[10.0][1] > found[None][1]
    # Other experiments keep what is assumed.
    other = load_costs(config, {"another": {"training": 10.0, "evaluation": 40.0}})
    done = work.finetune(Case(names, study.catalogue, other, experiment))
    assert seconds(done, other, gpu=True, loaders=10**9) == found[None][0]


def test_a_plan_measures(workflow, monkeypatch, capsys):
    monkeypatch.chdir(workflow)
    asked, hours = [], []

    def measured(study, device, seconds, report):
        asked.append((device, seconds))
        return dict.fromkeys(study.experiments, Rates(training=7.0 / len(asked), evaluation=9.0))

    monkeypatch.setattr(measuring, "measure_study", measured)
    for words in (["--measure"], ["--measure", "4"]):
        assert main(["plan", "demo", "table4", *words, "--device", "cpu", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        hours.append({s["rule"]: s["hours"]["estimate"] for s in found["steps"]}["finetune"])
    assert asked == [(CPU, 5.0), (CPU, 2.0)]
    assert found["measured"]["device"] == "cpu"
    assert found["measured"]["rates"]["mini-clip"]["training"] == 3.5
    assert hours[1] / hours[0] == pytest.approx(2, rel=0.01)
    assert "  mini-clip: 3.5 images a second in training, 9.0 in evaluation" in describe(found)


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "x"])
def test_seconds_are_above_zero(capsys, seconds):
    with pytest.raises(SystemExit):
        main(["plan", "demo", f"--measure={seconds}"])
    assert "argument --measure: " in capsys.readouterr().err
