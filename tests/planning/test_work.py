"""What the steps do, and what their jobs ask for."""

from dataclasses import replace

import pytest

from negmerge.errors import UserError
from negmerge.planning import work
from negmerge.planning.case import Case, Work
from negmerge.planning.estimates import Estimates, limit, seconds, spent
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
    return seconds(done, load_costs(config), device="cpu", loaders=loaders)


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
        ("experiments/mini-resnet/durability",
         ({"treatments": ["int8"]}, {"treatments": ["int8", "int4"]}, {}),
         (work.durability, RESNET | {"method": "negmerge"})),
        ("experiments/mini-clip/durability", ({"images": 10}, {"images": 100}, {}),
         (work.durability, CLIP | {"method": "negmerge"})),
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
    step = 3 * cost.cost.gflop * 1e9 / costs.devices["cpu"].flops.fp32.value
    moved = 3 * cost.cost.megabytes * 1e6 / costs.weights.value
    expected = costs.devices["cpu"].start.value + 15 * 1080 * (step + loading) + moved
    assert time_of(config, *FINETUNE) == pytest.approx(expected)


def test_a_measured_rate_takes_the_place_of_operations(config, change_yaml):
    rate = {"train": 100.0, "evaluate": 400.0, "source": "measured for this test"}
    done = work_of(config, *SWEEP), work_of(config, *FINETUNE)
    change_yaml(config / "costs.yaml", "devices/cpu/rates", {"mini-clip": rate})
    costs = load_costs(config)
    found = [spent(one, costs, device="cpu", loaders=0)["computing"] for one in done]
    assert found == pytest.approx([done[0].passed / 400, done[1].trained / 100])
    # It was measured in float32.
    other = replace(done[1], precision="bf16")
    flops = costs.devices["cpu"].flops.fp32.value
    assert spent(other, costs, device="cpu", loaders=0)["computing"] == pytest.approx(
        3 * done[1].trained * done[1].gflop * 1e9 / flops
    )


def test_a_precision_has_the_operations_of_the_device(config):
    costs, done = load_costs(config), Work(gflop=1.0, trained=1000, precision="bf16")
    for name, precision in (("cuda", "bf16"), ("gpu-12gb", "bf16"), ("cpu", "fp32")):
        flops = getattr(costs.devices[name].flops, precision).value
        found = spent(done, costs, device=name, loaders=0)
        assert found["computing"] == pytest.approx(3e12 / flops)


def test_the_attack_takes_the_square_of_its_images(config, change_yaml):
    def attack(step, names):
        return work_of(config, step, RESNET | names).attack

    evaluated, swept = (work.evaluate, {"method": "original"}), (work.sweep, {"vector": "negmerge"})
    costs, before = load_costs(config).attack, attack(*evaluated)
    # As many retain as test images.
    assert before == pytest.approx(1000**2 * 4 * costs.all.value)
    assert attack(*swept) > 0
    path = config / "studies" / "example.yaml"
    change_yaml(path, "experiments/mini-resnet/attack", "confidence")
    assert attack(*evaluated) == pytest.approx(before * costs.confidence.value / costs.all.value)
    # Only the rule `gap` needs it to choose.
    change_yaml(path, "experiments/mini-resnet/selection", {"rule": "retain"})
    change_yaml(path, "tables", {})
    assert attack(*swept) == 0
    assert work_of(config, *SWEEP).attack == 0


def test_loader_processes_hide_the_loading(config):
    times = [time_of(config, *FINETUNE, loaders=loaders) for loaders in (0, 1, 4, 100)]
    assert times == sorted(times, reverse=True)
    assert times[0] > times[1]


def test_a_job_asks_for_its_estimate_with_a_margin_and_more_with_each_attempt(config):
    costs = load_costs(config)
    done = Work(fetched=60 * costs.network.value, written=1.5e6)
    asked = Estimates(lambda wildcards: None, lambda wildcards: 1, costs)
    wildcards = {"study": "demo"}
    expected = 60 + round(costs.devices["cpu"].start.value)
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
    trained = 0.0
    for task in experiment.task_names:
        for point in experiment.pool.changes:
            names = {"task": task, "point": point}
            trained += work.finetune(Case(names, study.catalogue, costs, experiment)).trained
    assert trained == 30 * sum(images.values())


def test_linear_networks_take_twice_as_long(config):
    names = {"task": "cars", "point": "m1-n1"}
    done = [
        work_of(config, work.finetune, names | {"experiment": one}, "paper")
        for one in ("vit-b-32", "vit-b-32-linear")
    ]
    assert done[1].trained == 2 * done[0].trained


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
    rates = text.count("evaluate:")
    assert text.count("value:") + rates == text.count("source:")


def test_costs_have_both_devices(config, change_yaml):
    change_yaml(config / "costs.yaml", "devices/cuda", None)
    with pytest.raises(UserError, match=r"costs\.yaml: .*devices\.cuda is missing"):
        load_costs(config)


def megabytes(config, step, wildcards, study="example", *, gpus=0, threads=1, attempt=1):
    """What a job asks for."""
    done = work_of(config, step, wildcards, study)
    asked = Estimates(lambda wildcards: None, lambda wildcards: gpus, load_costs(config))
    return asked.memory(lambda case: done)({}, threads, attempt)


@pytest.mark.parametrize(
    ("key", "values", "job"),
    [
        ("selection/images", (100, 10_000, 50_000), (work.sweep, RESNET | {"vector": "negmerge"})),
        ("selection/images", (100, 10_000, 50_000), ASCENT),
        ("eval_batch_size", (10, 100, 1000), (work.sweep, RESNET | {"vector": "negmerge"})),
        ("eval_batch_size", (10, 100, 1000), (work.evaluate, RESNET | {"method": "original"})),
        ("finetune/batch_size", (16, 128, 1024), (work.finetune, RESNET | {"point": "e8-ls0"})),
        ("unlearn", ({"batch_size": 16}, {"batch_size": 128}, {"batch_size": 1024}), ASCENT),
    ],
)  # fmt: skip
def test_more_images_at_a_time_need_more_memory(config, change_yaml, key, values, job):
    found = []
    for value in values:
        change_yaml(config / "studies" / "example.yaml", f"experiments/mini-resnet/{key}", value)
        found.append(work_of(config, *job).memory)
    totals = [one.states + one.kept + one.batch + one.network for one in found]
    assert totals == sorted(totals)
    assert totals[0] < totals[-1]


def test_the_images_that_choose_are_a_byte_for_each_number(config):
    sweep = {"task": "cars", "vector": "m1-n1"}
    for name, size in (("vit-b-32", 224), ("vit-l-14", 224)):
        done = work_of(config, work.sweep, sweep | {"experiment": name}, "paper")
        assert done.memory.kept == (814 + 5000) * 3 * size**2


def test_larger_models_images_and_optimizers_need_more_memory(config, change_yaml):
    point = {"task": "cars", "point": "m1-n1"}
    names = ("vit-b-32", "vit-b-16", "vit-l-14")
    found = [work_of(config, work.finetune, point | {"experiment": n}, "paper") for n in names]
    weights = [4 * one for one in (351e6, 345e6, 1216e6)]  # and gradients, and AdamW's two
    beside = [one.memory.network - size for one, size in zip(found, weights, strict=True)]
    images = [128 * (43.5e6 + 4 * 3 * 224**2), 128 * (188e6 + 4 * 3 * 224**2)]
    assert beside[:2] == pytest.approx(images)
    # Half the batch, of which two make a step.
    assert beside[2] == pytest.approx(64 * (668e6 + 4 * 3 * 224**2))
    tuned = RESNET | {"point": "e8-ls0"}
    path = config / "studies" / "example.yaml"
    sizes = []
    for optimizer in ("sgd", "adamw"):
        change_yaml(path, "experiments/mini-resnet/finetune/optimizer", optimizer)
        sizes.append(work_of(config, work.finetune, tuned).memory.network)
    assert sizes[1] - sizes[0] == pytest.approx(0.711e6)


def test_a_job_asks_for_memory_of_its_processes_and_more_with_each_attempt(config):
    job = work.finetune, {"experiment": "vit-l-14", "task": "cars", "point": "m1-n1"}, "paper"
    costs, held = load_costs(config).memory, work_of(config, *job).memory
    alone = megabytes(config, *job)
    beside = costs.process.value + held.states + held.batch
    assert alone == pytest.approx((beside + held.network) / 1e6, abs=1)
    assert megabytes(config, *job, attempt=3) == 3 * alone
    # Where the network computes on a GPU, the machine holds what loads its images.
    loading = 4 * (costs.loader.value + 3 * held.batch)
    on_gpu = megabytes(config, *job, gpus=1, threads=5)
    assert on_gpu == pytest.approx((beside + costs.cuda.value + loading) / 1e6, abs=1)
    assert held.of_gpu(load_costs(config)) > 40e9


def test_a_model_of_unknown_size_asks_for_no_more_than_machines_have(config, change_yaml):
    change_yaml(config / "models.yaml", "mini-clip/cost", None)
    unknown = load_costs(config).memory.unknown.value / 1e6
    assert megabytes(config, *FINETUNE) == unknown
    assert megabytes(config, *FINETUNE, attempt=2) == 2 * unknown
