"""What jobs have to do, and how long that takes."""

import re
from pathlib import Path

import pytest
import torch

from negmerge import plugins
from negmerge.errors import UserError
from negmerge.models.classifiers import build_classifier
from negmerge.planning import work
from negmerge.planning.assumptions import load_assumptions
from negmerge.planning.case import Work
from negmerge.planning.jobs import Job, read_jobs
from negmerge.planning.networks import Network, measure
from negmerge.planning.times import STAGES, Clock, longest_chain
from negmerge.planning.work import work_of
from negmerge.settings.counts import part_sizes, role_counts
from negmerge.settings.study import load_study

ROOT = plugins.PACKAGE.parents[2]
NETWORK = Network(
    size=224, parameters=10, state_bytes=40, text_bytes=0, features=0, image_flops=10**9,
    prompt_flops=10**9, fetched=False,
)  # fmt: skip


def job(rule, experiment="", task="", name=""):
    return Job(rule, (), True, f"{rule}/{experiment}/{task}/{name}.tsv", experiment, task, name)


def seconds(config, one, study="example", network=NETWORK):
    study = load_study(config, study)
    networks = dict.fromkeys(study.experiments, network)
    clock = Clock(load_assumptions(config), study)
    return clock.seconds(one, work_of(one, study, networks), network if one.experiment else None)


FINETUNE = job("finetune", "mini-clip", "digits", "m1-n1")
SWEEP = job("sweep", "mini-clip", "digits", "m1-n1")


def test_every_rule_has_work_and_a_stage():
    text = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    rules = set(re.findall(r"^rule (\w+):", text, re.M))
    assert rules == {*work.RULES, *work.DATA, *work.SMALL}
    assert rules - {"dag"} == {rule for stage in STAGES for rule in stage}
    bodies = re.findall(r"^rule (\w+):(.*?)(?=^rule |\Z)", text, re.M | re.S)
    on_gpu = {rule for rule, body in bodies if "gpu=gpus" in body}
    assert on_gpu == set(work.ON_DEVICE)


@pytest.mark.parametrize(
    ("key", "values", "one"),
    [
        ("experiments/mini-clip/finetune/epochs/digits", (2, 5, 50), FINETUNE),
        ("experiments/mini-clip/coefficients/stop", (0.5, 1.0, 1.5), SWEEP),
        ("experiments/mini-clip/coefficients/stop", (0.5, 1.0, 1.5),
         job("greedy", "mini-clip", "digits", "greedy")),
        ("experiments/mini-resnet/train/epochs", (1, 2, 60),
         job("train", "mini-resnet", "trial1", "retrain")),
        ("experiments/mini-resnet/methods/finetune/epochs", (1, 2, 9),
         job("unlearn", "mini-resnet", "trial1", "finetune")),
        ("experiments/mini-resnet/methods/gradient-ascent/grid/learning_rate",
         ([0.1], [0.1, 0.2], [0.1, 0.2, 0.3]),
         job("unlearn", "mini-resnet", "trial1", "gradient-ascent")),
        ("experiments/mini-resnet/selection/halvings", (0, 1, 3),
         job("unlearn", "mini-resnet", "trial1", "gradient-ascent")),
        ("experiments/mini-resnet/selection/halvings", (0, 1, 3),
         job("sweep", "mini-resnet", "trial1", "negmerge")),
        ("experiments/mini-resnet/selection/images", (10, 100, 1000),
         job("measure", "mini-resnet", "trial1", "finetune")),
        ("experiments/mini-resnet/relearn", ({"seeds": 1}, {"seeds": 3}, {"seeds": 9}),
         job("evaluate", "mini-resnet", "trial1", "finetune")),
    ],
)  # fmt: skip
def test_more_work_takes_longer(config, change_yaml, key, values, one):
    found = []
    for value in values:
        change_yaml(config / "studies" / "example.yaml", key, value)
        found.append(seconds(config, one))
    assert found == sorted(found)
    assert found[0] < found[-1]


def test_the_seconds_of_a_job_are_those_of_its_assumptions(config):
    assumed = load_assumptions(config)
    loading = assumed.loading.per_image.value + 224**2 * assumed.loading.per_pixel.value
    images = 15 * 1080
    step = 3 * 10**9 / assumed.devices.cpu.flops.value
    moved = 2 * 40 / assumed.weights.value
    expected = assumed.devices.cpu.start.value + images * (step + loading) + moved
    assert seconds(config, FINETUNE) == pytest.approx(expected)


def test_loader_processes_hide_the_loading(config, change_yaml):
    alone = seconds(config, FINETUNE)
    path = config / "studies" / "example.yaml"
    times = []
    for workers in (1, 4, 100):
        change_yaml(path, "experiments/mini-clip/finetune/workers", workers)
        times.append(seconds(config, FINETUNE))
    assert alone > times[0] >= times[1] >= times[2]


def test_the_paper_s_pool_has_its_images(config):
    """Epochs and images to fine-tune with of NegMerge's code: 234 million for one backbone."""
    study = load_study(config, "paper")
    experiment = study.experiments["vit-b-32"]
    networks = dict.fromkeys(study.experiments, NETWORK)
    jobs = [
        job("finetune", "vit-b-32", task, point)
        for task in experiment.task_names
        for point in experiment.pool.changes
    ]
    images = {"sun397": 40 * 17865, "cars": 70 * 7330, "resisc45": 40 * 17010,
              "eurosat": 40 * 21600, "svhn": 30 * 68257, "gtsrb": 40 * 23976,
              "mnist": 30 * 55000, "dtd": 100 * 3384}  # fmt: skip
    assert len(jobs) == 240
    assert sum(work_of(one, study, networks).trained for one in jobs) == 30 * sum(images.values())


def test_linear_networks_take_longer(config):
    times = [
        seconds(config, job("finetune", name, "cars", "m1-n1"), "paper", NETWORK)
        for name in ("vit-b-32", "vit-b-32-linear")
    ]
    # The loader hides some of it.
    assert times[0] <= times[1]


def test_validation_images_are_cut_as_the_rule_says(config):
    known = load_study(config, "paper").catalogue
    assert part_sizes(known, "mnist") == {"train": 55000, "val": 5000, "test": 10000}
    assert part_sizes(known, "cars") == {"train": 7330, "val": 814, "test": 8041}
    assert part_sizes(known, "eurosat")["train"] == 21600


def test_a_classifier_forgets_a_share_or_a_list(config, change_yaml, tmp_path):
    path = config / "studies" / "example.yaml"

    def counted():
        study = load_study(config, "example")
        found = role_counts(study.experiments["mini-resnet"], "trial1", study.catalogue)
        return [found[role]["train"] for role in ("forget", "retain", "original", "test")]

    assert counted() == [200, 1800, 2000, 1000]
    change_yaml(path, "experiments/mini-resnet/forget", {"rule": "salun", "share": 0.1})
    assert counted() == [180, 1620, 1800, 1000]
    given = tmp_path / "forget.txt"
    change_yaml(path, "experiments/mini-resnet/forget", {"rule": "given", "file": str(given)})
    with pytest.raises(UserError, match=r"forget\.txt: cannot be read"):
        counted()
    given.write_text("3\n5\n8\n")
    assert counted() == [3, 1997, 2000, 1000]


def test_what_is_not_known_has_no_time(config):
    study = load_study(config, "example")
    assert work_of(job("own-rule", "mini-clip", "digits", "x"), study, {}) is None
    clock = Clock(load_assumptions(config), study)
    assert clock.seconds(SWEEP, None, NETWORK) is None
    assert clock.seconds(job("download", name="x/y"), Work("?", fetched=None), None) is None


def test_the_weights_of_others_are_fetched_once_for_all_experiments(config, change_yaml):
    fetching = job("weights", name="ViT-B-32")
    study = load_study(config, "paper")
    assert work_of(fetching, study, {}).fetched == study.catalogue.models["ViT-B-32"].hub.bytes
    assert work_of(job("base", "vit-b-32"), study, {"vit-b-32": NETWORK}).fetched == 0
    change_yaml(config / "models.yaml", "ViT-B-32/hub", None)
    assert work_of(fetching, load_study(config, "paper"), {}).fetched is None


def test_networks_are_measured_from_their_rows(catalogue):
    found = measure(catalogue.models["ViT-B-32"], 10)
    assert found.parameters == 151_277_313  # as open_clip counts them
    assert found.image_flops / 1e9 == pytest.approx(8.82, abs=0.01)
    assert found.prompt_flops / 1e9 == pytest.approx(5.96, abs=0.01)
    assert (found.features, found.fetched) == (512, True)
    row = catalogue.models["mini-resnet"]
    state = build_classifier(row.model_dump(), 10).state_dict()
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    assert measure(row, 10).state_bytes == size
    assert torch.get_default_device() == torch.device("cpu")


def test_the_longest_chain_takes_the_slowest_job_of_each_stage(config):
    study = load_study(config, "example")
    other = job("finetune", "mini-clip", "letters", "m1-n1")
    times = {
        FINETUNE: 5.0, job("finetune", "mini-clip", "digits", "m5-n1"): 7.0, other: 11.0,
        SWEEP: 9.0, job("prepare", name="digits"): 1.0, job("prepare", name="fashion-small"): 99.0,
        job("report", name="report"): None,
    }  # fmt: skip
    chain, total = longest_chain(times, study)
    assert chain == ["prepare digits", "finetune mini-clip/digits/m5-n1",
                     "sweep mini-clip/digits/m1-n1", "report report"]  # fmt: skip
    assert total == 17


class Listed:
    """Stands for Snakemake, which has listed some jobs."""

    def __init__(self, out, err="", returncode=0):
        self.out, self.err, self.returncode = out, err, returncode

    def communicate(self):
        return self.out, self.err


HEAD = "output_file\tdate\trule\tlog-file(s)\tstatus\tplan\n"


def test_the_list_of_snakemake_is_read(config):
    study = load_study(config, "example")
    rows = [
        ("results/example/mini-clip/base.safetensors", "base", "no update"),
        ("results/example/mini-clip/text.safetensors", "base", "update pending"),
        ("results/example/mini-resnet/trial1/split.json", "split", "no update"),
        ("results/example/mini-resnet/trial2/scores/negmerge.gap.json", "evaluate", "no update"),
        ("data/downloads/cars/car_devkit.tgz", "download", "no update"),
    ]
    lines = [f"{place}\t-\t{rule}\t-\tok\t{plan}\n" for place, rule, plan in rows]
    jobs = read_jobs(Listed(HEAD + "".join(lines)), study, "example", "data")
    assert [one.pending for one in jobs] == [True, False, False, False]
    assert len(jobs[0].outputs) == 2
    benchmarks = "results/example/benchmarks"
    assert [one.benchmark for one in jobs] == [
        f"{benchmarks}/base/mini-clip.tsv",
        f"{benchmarks}/split/mini-resnet/trial1.tsv",
        f"{benchmarks}/evaluate/mini-resnet/trial2/negmerge.gap.tsv",
        "data/benchmarks/download/cars/car_devkit.tgz.tsv",
    ]
    assert (jobs[2].task, jobs[2].name) == ("trial2", "negmerge.gap")


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (Listed("", "Building DAG\nerror: unknown table 'x'\n", 1), "^unknown table 'x'$"),
        (
            Listed("", "Using\nWorkflowError:\nIt is locked.\nmore\n", 1),
            "WorkflowError: It is lock",
        ),
        (Listed("", "", 1), "did not say why"),
        (Listed("something else\n"), "listed no jobs, but: something else"),
        (Listed(""), "listed no jobs, but: nothing"),
    ],
)
def test_what_snakemake_says_is_passed_on(config, listed, message):
    with pytest.raises(UserError, match=message):
        read_jobs(listed, load_study(config, "example"), "example", "data")


def test_every_assumption_has_a_source():
    text = (ROOT / "config" / "costs.yaml").read_text()
    assert load_assumptions(ROOT / "config").image_bytes
    assert text.count("value:") == text.count("source:")
    assert Path(ROOT / "benchmarks" / "search.json").exists()  # a source that is named there
