"""What steps need, by arithmetic from their study, and what `negmerge plan` adds up."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from negmerge.cli import main
from negmerge.jobs import needs
from negmerge.jobs.plan import make_plan
from negmerge.jobs.work import Work, load_costs
from negmerge.settings.study import load_study
from tiny_study import PYTHON

CLIP = {"experiment": "mini-clip", "task": "digits"}
FINETUNE = needs.finetune, CLIP | {"point": "m1-n1"}
RESNET = {"experiment": "mini-resnet", "task": "trial1"}
ASCENT = needs.unlearn, RESNET | {"method": "gradient-ascent"}
ROOT = Path(__file__).parents[2]


def case_of(config, wildcards, study="example", **further):
    study = load_study(config, study)
    experiment = study.experiments.get(wildcards.get("experiment"))
    return needs.Case(wildcards, study.catalogue, load_costs(config), experiment, **further)


def work_of(config, step, wildcards, study="example"):
    return step(case_of(config, wildcards, study))


def seconds_of(config, step, wildcards):
    return work_of(config, step, wildcards).seconds(load_costs(config), "cpu", "fp32", 0)


def test_the_seconds_of_a_job_are_those_of_its_costs(config):
    costs, row = load_costs(config), load_study(config, "example").catalogue.models["mini-clip"]
    loading = costs.image + row.size**2 * costs.pixel
    step = costs.training * row.cost.gflop * 1e9 / costs.devices["cpu"].flops["fp32"]
    # The base is read, built and filled; the model and its vector are written.
    moved = 6 * row.cost.megabytes * 1e6 / costs.weights
    expected = costs.devices["cpu"].start + 15 * 1080 * (step + loading) + moved
    assert seconds_of(config, *FINETUNE) == pytest.approx(expected)


def test_a_network_waits_for_its_loaders_and_what_has_no_network_for_no_gpu(config):
    costs = load_costs(config)
    gpu, core = costs.devices["cuda"], costs.devices["cpu"]
    work = Work(flops=10 * gpu.flops["fp32"], loading=80)
    found = [work.seconds(costs, "cuda", "fp32", loaders) for loaders in (0, 2, 4, 100)]
    assert found == pytest.approx([gpu.start + seconds for seconds in (90, 40, 20, 10)])
    # A core has no bfloat16 of its own.
    for name, precision in (("cuda", "bf16"), ("cpu", "fp32")):
        seconds = Work(flops=3e12).seconds(costs, name, "bf16", 0) - costs.devices[name].start
        assert seconds == pytest.approx(3e12 / costs.devices[name].flops[precision])
    fetching = Work(fetched=60 * costs.network)
    assert fetching.seconds(costs, "cuda", "fp32", 4) == pytest.approx(core.start + 60)


@pytest.mark.parametrize(
    ("key", "values", "job"),
    [
        ("mini-clip/coefficients/stop", (0.5, 1.0), (needs.greedy, CLIP | {"method": "greedy"})),
        ("mini-resnet/methods/gradient-ascent/grid/learning_rate", ([0.1], [0.1, 0.2]), ASCENT),
        ("mini-resnet/relearn", ({"seeds": 1}, {"seeds": 9}),
         (needs.evaluate, RESNET | {"method": "finetune"})),
        ("mini-resnet/durability", ({"treatments": ["int8"]}, {}),
         (needs.durability, RESNET | {"method": "negmerge"})),
    ],
)  # fmt: skip
def test_more_work_takes_longer(config, change_yaml, key, values, job):
    seconds = []
    for value in values:
        change_yaml(config / "studies" / "example.yaml", f"experiments/{key}", value)
        seconds.append(seconds_of(config, *job))
    assert seconds[0] < seconds[1]


def test_a_score_is_the_sweeps_that_are_no_jobs_of_their_own(config):
    case, costs = case_of(config, CLIP | {"method": "task-arithmetic"}, "demo"), load_costs(config)
    passes = 4 * (1 + case.coefficients)
    measured = passes * case.validation * case.cost.gflop * 1e9
    moved = passes * case.state / 4 * costs.move
    extra = needs.score(case).flops - needs.evaluate(case).flops
    assert extra == pytest.approx(measured + moved)
    drawn = {f"mini-clip/digits/sweeps/{point}.csv" for point in case.experiment.pool.changes}
    single = case_of(config, CLIP | {"method": "task-arithmetic"}, "demo", drawn=drawn)
    assert needs.score(single) == needs.evaluate(single)


def test_the_paper_s_pool_has_its_images(config):
    """Epochs and images to fine-tune with of NegMerge's code: 234 million for one backbone."""
    study, costs = load_study(config, "paper"), load_costs(config)
    images = {"sun397": 40 * 17865, "cars": 70 * 7330, "resisc45": 40 * 17010,
              "eurosat": 40 * 21600, "svhn": 30 * 68257, "gtsrb": 40 * 23976,
              "mnist": 30 * 55000, "dtd": 100 * 3384}  # fmt: skip
    experiment, flops = study.experiments["vit-b-32-linear"], 0.0
    image = costs.linear * costs.training * study.catalogue.models["ViT-B-32"].cost.gflop * 1e9
    for task in experiment.task_names:
        for point in experiment.pool.changes:
            names = {"experiment": "vit-b-32-linear", "task": task, "point": point}
            flops += needs.finetune(needs.Case(names, study.catalogue, costs, experiment)).flops
    assert flops / image == pytest.approx(len(experiment.pool.changes) * sum(images.values()))


def test_what_is_not_known_is_taken_for_large(config, change_yaml):
    known, costs = seconds_of(config, *FINETUNE), load_costs(config)
    change_yaml(config / "models.yaml", "mini-clip/cost", None)
    change_yaml(config / "costs.yaml", "image_bytes/digits", None)
    assert seconds_of(config, *FINETUNE) > known
    assert work_of(config, *FINETUNE).written == 2 * costs.unknown_model.megabytes * 1e6
    images = work_of(config, needs.prepare, {"dataset": "digits"}).written
    assert images == 2 * costs.unknown_image * (200 + 1200 + 397)
    # A job asks for no more memory than machines have.
    asked = needs.look_ups(needs.finetune, lambda wildcards: case_of(config, wildcards))
    assert asked["mem_mb"](FINETUNE[1], 1, 2) == 2 * costs.memory.unknown / 1e6


def test_memory_is_weights_gradients_the_optimizer_and_a_batch(config, change_yaml):
    point = {"task": "cars", "point": "m1-n1"}
    # Weights, gradients and AdamW's two; ViT-L/14 has half the batch, of which two make a step.
    sizes = {"vit-b-32": (351, 128, 43.5), "vit-b-16": (345, 128, 188), "vit-l-14": (1216, 64, 668)}
    for name, (weights, batch, image) in sizes.items():
        memory = work_of(config, needs.finetune, point | {"experiment": name}, "paper").memory
        items = batch * (image * 1e6 + 4 * 3 * 224**2)
        assert memory.network == pytest.approx(4 * weights * 1e6 + items)
    assert memory.of_gpu(load_costs(config).memory) > 40e9
    # The images that choose are a byte for each number.
    swept = {"experiment": "vit-b-32", "task": "cars", "vector": "m1-n1"}
    assert work_of(config, needs.sweep, swept, "paper").memory.kept == (814 + 5000) * 3 * 224**2
    tuned, path, states = RESNET | {"point": "e8-ls0"}, config / "studies" / "example.yaml", []
    for optimizer in ("sgd", "adamw"):
        change_yaml(path, "experiments/mini-resnet/finetune/optimizer", optimizer)
        states.append(work_of(config, needs.finetune, tuned).memory.network)
    assert states[1] - states[0] == pytest.approx(0.711e6)


def test_a_job_asks_for_more_with_each_attempt(config):
    job = {"experiment": "vit-l-14", "task": "cars", "point": "m1-n1"}
    costs, held = load_costs(config), work_of(config, needs.finetune, job, "paper").memory

    def asked(resource, device, *asks):
        look_ups = needs.look_ups(
            needs.finetune, lambda wildcards: case_of(config, wildcards, "paper", device=device)
        )
        return look_ups[resource](job, *asks)

    beside = costs.memory.process + held.states + held.batch
    memory = asked("mem_mb", "cpu", 1, 1)
    assert memory == pytest.approx((beside + held.network) / 1e6, abs=1)
    assert asked("mem_mb", "cpu", 1, 3) == 3 * memory
    # Where the network computes on a GPU, the machine holds what loads its images.
    loading = 4 * (costs.memory.loader + 3 * held.batch)
    on_gpu = asked("mem_mb", "cuda", 5, 1)
    assert on_gpu == pytest.approx((beside + costs.memory.cuda + loading) / 1e6, abs=1)
    seconds, minutes = asked("estimate_s", "cuda", 5), asked("runtime", "cuda", 5, 1)
    assert minutes == -(-(60 * costs.minutes + costs.margin * seconds) // 60)
    assert asked("runtime", "cuda", 5, 2) == 2 * minutes
    assert asked("disk_mb", "cuda") == 2 * 1216


def recorded(study):
    """The seconds that a study took, of the runs that `benchmarks/demo.py` has recorded."""
    runs = json.loads((ROOT / "benchmarks" / f"{study}.json").read_text())["runs"]
    return [sum(step["seconds"] for step in run["steps"].values()) for run in runs]


@pytest.mark.parametrize(
    ("study", "took"),
    [
        ("demo-full", recorded("demo-full")),
        ("demo-lm", recorded("demo-lm")),
        # See docs/forget-in-your-language-model.md#how-the-scenario-works and docs/results.md.
        ("tofu-mini", [260 * 60]),
        ("laptop", [334 * 60]),
    ],
)
def test_real_runs_took_at_most_twice_or_half_of_the_plan(workflow, monkeypatch, study, took):
    monkeypatch.chdir(workflow)
    planned = 3600 * make_plan(study)["rows"]["report"]["cpu_hours"]
    assert all(seconds / 2 < planned < 2 * seconds for seconds in took), (planned, took)


def dry_run(*targets):
    """Count the jobs of Snakemake's own dry run."""
    command = [PYTHON, "-m", "snakemake", "-n", "--quiet", "reason", "--", *targets]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(re.search(r"^total +(\d+)$", done.stdout, re.M)[1])


def test_a_plan_has_the_jobs_of_each_table(workflow, monkeypatch, capsys):
    monkeypatch.chdir(workflow)
    assert main(["plan", "demo-full", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows["report"]["jobs"] == dry_run("results/demo-full/report.html")
    both = ("tables/pool-size.md", "figures/pool-size.png")
    targets = (f"results/demo-full/{place}" for place in both)
    assert rows["pool-size"]["jobs"] == dry_run(*targets)
    assert {row["gpu_hours"] for row in rows.values()} == {0}
    # Without a GPU all hours are those of a core, with one they are fewer.
    assert main(["plan", "demo-full", "--device", "gpu-24gb"]) == 0
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    assert lines.keys() >= rows.keys()
    assert 0 < float(lines["report"][3]) < rows["report"]["cpu_hours"]


def test_a_mistake_is_one_line(workflow, monkeypatch, capsys):
    monkeypatch.chdir(workflow)
    for words, name in ((["demoo"], "'demo'"), (["demo", "--device", "gpu-24g"], "'gpu-24gb'")):
        assert main(["plan", *words]) == 1
        assert name in capsys.readouterr().err
