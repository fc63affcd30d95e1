"""What the steps do, and what their jobs ask for."""

from dataclasses import replace

import pytest

from negmerge.planning import work
from negmerge.planning.estimates import Estimates, limit, seconds
from negmerge.planning.work import Case, Work
from negmerge.settings.costs import load_costs
from negmerge.settings.study import load_study

CLIP = {"experiment": "mini-clip", "task": "digits"}
FINETUNE = work.finetune, CLIP | {"point": "m1-n1"}
SWEEP = work.sweep, CLIP | {"vector": "m1-n1"}
RESNET = {"experiment": "mini-resnet", "task": "trial1"}
ASCENT = work.unlearn, RESNET | {"method": "gradient-ascent"}


def work_of(config, step, wildcards, study="example"):
    study = load_study(config, study)
    experiment = study.experiments.get(wildcards.get("experiment"))
    return step(Case(wildcards, study.catalogue, load_costs(config), experiment))


def time_of(config, step, wildcards, loaders=0, study="example"):
    done = work_of(config, step, wildcards, study)
    return seconds(done, load_costs(config), gpu=False, loaders=loaders)


@pytest.mark.parametrize(
    ("key", "values", "job"),
    [
        ("experiments/mini-clip/finetune/epochs/digits", (2, 5, 50), FINETUNE),
        ("experiments/mini-clip/coefficients/stop", (0.5, 1.0, 1.5), SWEEP),
        ("experiments/mini-clip/coefficients/stop", (0.5, 1.0, 1.5),
         (work.greedy, CLIP | {"method": "greedy"})),
        ("experiments/mini-resnet/train/epochs", (1, 2, 60),
         (work.train, RESNET | {"trained": "retrain"})),
        ("experiments/mini-resnet/methods/finetune/epochs", (1, 2, 9),
         (work.unlearn, RESNET | {"method": "finetune"})),
        ("experiments/mini-resnet/methods/gradient-ascent/grid/learning_rate",
         ([0.1], [0.1, 0.2], [0.1, 0.2, 0.3]), ASCENT),
        ("experiments/mini-resnet/selection/halvings", (0, 1, 3), ASCENT),
        ("experiments/mini-resnet/selection/halvings", (0, 1, 3),
         (work.sweep, RESNET | {"vector": "negmerge"})),
        ("experiments/mini-resnet/selection/images", (10, 100, 1000),
         (work.sweep, RESNET | {"vector": "retrain"})),
        ("experiments/mini-resnet/relearn", ({"seeds": 1}, {"seeds": 3}, {"seeds": 9}),
         (work.evaluate, RESNET | {"method": "finetune"})),
    ],
)  # fmt: skip
def test_more_work_takes_longer(config, change_yaml, key, values, job):
    found = []
    for value in values:
        change_yaml(config / "studies" / "example.yaml", key, value)
        found.append(time_of(config, *job))
    assert found == sorted(found)
    assert found[0] < found[-1]


def test_the_seconds_of_a_job_are_those_of_its_costs(config):
    costs, cost = load_costs(config), load_study(config, "example").catalogue.models["mini-clip"]
    loading = costs.loading.per_image.value + cost.size**2 * costs.loading.per_pixel.value
    step = 3 * cost.cost.gflop * 1e9 / costs.devices.cpu.flops.value
    moved = 3 * cost.cost.megabytes * 1e6 / costs.weights.value
    expected = costs.devices.cpu.start.value + 15 * 1080 * (step + loading) + moved
    assert time_of(config, *FINETUNE) == pytest.approx(expected)


def test_loader_processes_hide_the_loading(config):
    times = [time_of(config, *FINETUNE, loaders=loaders) for loaders in (0, 1, 4, 100)]
    assert times == sorted(times, reverse=True)
    assert times[0] > times[1]


def test_a_job_asks_for_its_estimate_with_a_margin_and_more_with_each_attempt(config):
    costs = load_costs(config)
    done = Work(fetched=60 * costs.network.value, written=1.5e6)
    asked = Estimates(lambda wildcards: None, lambda wildcards: 1, costs)
    wildcards = {"study": "demo"}
    expected = 60 + round(costs.devices.cpu.start.value)
    assert asked.seconds(lambda case: done)(wildcards, 1) == expected
    minutes = asked.minutes(lambda case: done)
    assert minutes(wildcards, 1, 1) == limit(expected, costs) > costs.limit.start.value + 3
    assert minutes(wildcards, 1, 2) == 2 * minutes(wildcards, 1, 1)
    assert asked.megabytes(lambda case: done)(wildcards) == 2
    # What passes no images through a network needs no GPU.
    computing = asked.seconds(lambda case: replace(done, flops=1.0))
    assert computing(wildcards, 1) > expected


def test_the_paper_s_pool_has_its_images(config):
    """Epochs and images to fine-tune with of NegMerge's code: 234 million for one backbone."""
    study, costs = load_study(config, "paper"), load_costs(config)
    experiment = study.experiments["vit-b-32"]
    images = {"sun397": 40 * 17865, "cars": 70 * 7330, "resisc45": 40 * 17010,
              "eurosat": 40 * 21600, "svhn": 30 * 68257, "gtsrb": 40 * 23976,
              "mnist": 30 * 55000, "dtd": 100 * 3384}  # fmt: skip
    flops = 0.0
    for task in experiment.task_names:
        for point in experiment.pool.changes:
            names = {"task": task, "point": point}
            flops += work.finetune(Case(names, study.catalogue, costs, experiment)).flops
    each = 3 * study.catalogue.models["ViT-B-32"].cost.gflop * 1e9
    assert flops / each == pytest.approx(30 * sum(images.values()))


def test_linear_networks_take_twice_as_long(config):
    names = {"task": "cars", "point": "m1-n1"}
    done = [
        work_of(config, work.finetune, names | {"experiment": one}, "paper")
        for one in ("vit-b-32", "vit-b-32-linear")
    ]
    assert done[1].flops == 2 * done[0].flops


def test_a_job_writes_states_as_large_as_the_model(config):
    cost = load_study(config, "example").catalogue.models["mini-clip"].cost
    # A fine-tuned model, and its task vector.
    assert work_of(config, *FINETUNE).written == 2 * cost.megabytes * 1e6
    assert work_of(config, *SWEEP).written == 0
    whole = (cost.megabytes + cost.text_megabytes) * 1e6
    assert work_of(config, work.base, CLIP).written == whole
    prepared = load_costs(config).image_bytes["digits"].value * (200 + 1200 + 397)
    # A second copy lies there while it is made.
    assert work_of(config, work.prepare, {"dataset": "digits"}).written == 2 * prepared


def test_the_weights_of_others_are_fetched_once_for_all_experiments(config):
    known = load_study(config, "paper").catalogue
    fetching = work_of(config, work.weights, {"model": "ViT-B-32"}, "paper")
    assert fetching.fetched == known.models["ViT-B-32"].hub.bytes
    assert work_of(config, work.base, {"experiment": "vit-b-32"}, "paper").fetched == 0


def test_what_is_not_known_is_taken_for_large(config, change_yaml):
    known = time_of(config, *FINETUNE), work_of(config, *FINETUNE).written
    change_yaml(config / "models.yaml", "mini-clip/cost", None)
    change_yaml(config / "models.yaml", "ViT-B-32/hub", None)
    change_yaml(config / "costs.yaml", "image_bytes/digits", None)
    assert time_of(config, *FINETUNE) > known[0]
    assert work_of(config, *FINETUNE).written > known[1]
    unknown = load_costs(config).unknown
    images = work_of(config, work.prepare, {"dataset": "digits"}).written
    assert images == 2 * unknown.image_bytes.value * (200 + 1200 + 397)
    fetched = work_of(config, work.weights, {"model": "ViT-B-32"}).fetched
    assert fetched == unknown.file_bytes.value


def test_every_number_has_a_source(config):
    text = (config / "costs.yaml").read_text()
    assert load_costs(config).image_bytes
    assert text.count("value:") == text.count("source:")
