import pytest
import yaml

from negmerge.data.questions import write_questions
from negmerge.data.sources import fabricated
from negmerge.data.tokenising import train_tokenizer
from negmerge.errors import UserError
from negmerge.scenarios import load_task
from negmerge.settings.study import load_study

EXPERIMENT = {
    "scenario": "language",
    "model": "mini-llama",
    "dataset": "invented-authors",
    "tasks": {"forget10": 0.1, "forget-two": 2.0},
    "before": {"epochs": 1, "warmup_steps": 0},
    "train": {"epochs": 1, "warmup_steps": 0},
    "finetune": {"epochs": 2},
    "pool": {"points": {"slow": {}}},
    "methods": {"original": {}, "retrain": {}, "negmerge": {}, "npo": {"learning_rate": 0.01}},
}


@pytest.fixture
def load(config):
    def load(**changes):
        experiment = {k: v for k, v in (EXPERIMENT | changes).items() if v is not None}
        text = yaml.safe_dump({"title": "x", "experiments": {"llama": experiment}})
        (config / "studies" / "own.yaml").write_text(text)
        study = load_study(config, "own")
        return study.experiments["llama"], study.catalogue

    return load


def test_models_are_made_once_for_all_tasks(load):
    experiment, _ = load()
    assert set(experiment.task_names) == {"forget10", "forget-two"}
    assert experiment.base_place == experiment.start_place == "all/trained/original.safetensors"
    original, retrain = (experiment.training(name) for name in ("original", "retrain"))
    assert (original.role, retrain.role) == ("original", "retain")
    assert original.start == retrain.start == "all/trained/before.safetensors"
    assert experiment.training("before").start is None
    experiment, _ = load(before=None)
    assert experiment.training("original").start is None
    with pytest.raises(UserError, match="unknown recipe 'before'"):
        experiment.training("before")


def test_a_vector_may_start_before_the_authors_were_taught(load):
    experiment, _ = load(vector="before")
    assert experiment.start_place == "all/trained/before.safetensors"


def test_the_counts_are_those_of_the_items(load, tmp_path):
    experiment, known = load()
    row = known.contents("invented-authors")
    found = list(fabricated.read_authors({}, row))
    write_questions(tmp_path / "q.jsonl", found, row["splits"])
    texts = [text for one in found for text in one.texts]
    tokenizer = train_tokenizer(texts, **known.models["mini-llama"].model_dump()["tokenizer"])
    tokenizer.save(str(tmp_path / "t.json"))
    files = {"questions": str(tmp_path / "q.jsonl"), "tokenizer": str(tmp_path / "t.json")}
    for task in experiment.task_names:
        scenario = load_task(experiment.job(task, known), files, "cpu")
        assert scenario.roles == ["forget", "retain", "holdout"]
        counts = experiment.image_counts(task, known)
        for role in ("forget", "retain"):
            for purpose, count in counts[role].items():
                assert len(scenario.role(role, purpose).items) == count, (role, purpose)
        for role in ("original", "before"):
            assert len(scenario.role(role, "train").items) == counts[role]["train"]
        assert len(scenario.role("holdout", "score").items) == counts["holdout"]["score"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": "mini-clip"},
            "experiments.llama.model: unknown model 'mini-clip'",
        ),
        ({"tasks": {"none": 0.001}}, "experiments.llama.tasks.none: 0.001 of the authors of"),
        ({"tasks": {"whole": 40.0}}, "leave no retain questions to select, expected at least 1"),
        ({"vector": "before", "before": None}, "vector: before, but the key before is missing"),
        (
            {"methods": {"original": {}, "salun": {}}},
            "methods.salun: it is for classifier, not",
        ),
        (
            {"before": {"epochs": 1, "warmup_steps": 99}},
            "before: warmup_steps is 99, but 1 epochs of 1,600 images in batches of 64 are 25 ",
        ),
    ],
)
def test_mistakes_are_named(load, changes, message):
    with pytest.raises(UserError) as caught:
        load(**changes)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def change(config, file, row, old, new):
    path = config / file
    before, start, rest = path.read_text().partition(f"\n{row}:\n")
    assert old in rest
    path.write_text(before + start + rest.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  options: {seed: 0}\n", "", "options: the key seed is missing"),
        (
            "others: 400, holdout: 40",
            "train: 400",
            "invented-authors: unknown split 'train'; valid: authors",
        ),
        ("{seed: 0}", "{seed: 0, per_author: 11}", "options: per_author"),
    ],
)
def test_a_row_of_questions_is_checked(load, config, old, new, message):
    change(config, "datasets.yaml", "invented-authors", old, new)
    with pytest.raises(UserError, match=message):
        load()
