from pathlib import Path

import pytest
import yaml

from negmerge.data.questions import write_questions
from negmerge.data.sources import fabricated
from negmerge.data.tokenising import train_tokenizer
from negmerge.errors import UserError
from negmerge.scenarios import load_task
from negmerge.settings.study import load_study
from refusals import refused

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
    assert (original.role, retrain.role) == ("original", "all-retain")
    assert original.start == retrain.start == "all/trained/before.safetensors"
    assert experiment.training("before").start is None
    assert load(vector="before")[0].start_place == "all/trained/before.safetensors"
    experiment, _ = load(before=None)
    assert experiment.training("original").start is None
    with pytest.raises(UserError, match="unknown recipe 'before'"):
        experiment.training("before")


@pytest.mark.parametrize("trained_on", ["all", "choosing"])
def test_the_counts_are_those_of_the_items(load, tmp_path, trained_on):
    experiment, known = load(trained_on=trained_on)
    row = known.contents("invented-authors")
    root = Path(__file__).parents[2]
    files = {name: str(root / file) for name, file in row["files"].items()}
    found = list(fabricated.read_authors(files, row))
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
        for role in ("original", "before", "all-retain", "retain-sample"):
            assert len(scenario.role(role, "train").items) == counts[role]["train"]
        assert len(scenario.role("holdout", "score").items) == counts["holdout"]["score"]


def test_a_point_may_start_before_the_authors_were_taught_and_so_does_what_is_added(load):
    points = {"early": {"start": "before", "learning_rate": 0.5}, "late": {}}
    uses = {"negmerge": {"points": ["early"]}, "msa": {"along": "negmerge"}}
    experiment, known = load(pool={"points": points}, methods={"original": {}, **uses})
    assert experiment.start_of("early") == "all/trained/before.safetensors"
    assert experiment.start_of("late") == "all/trained/original.safetensors"
    added = experiment.retain_point("msa")
    assert experiment.start_of(added) == experiment.before_place
    assert experiment.recipe("forget10", added) == experiment.recipe("forget10", "early")
    assert (experiment.tuned_on(added), experiment.tuned_on("early")) == ("retain-sample", "forget")
    counts = experiment.image_counts("forget10", known)
    runs = [run.where for run in experiment.runs("forget10", known, counts)]
    assert "finetune (forget10, point retain-of-early)" in runs


# Keys of the experiment, and what the line says.
# fmt: off
WRONG = [
    ({"model": "mini-clip"}, "experiments.llama.model", "'mini-clip'"),
    ({"tasks": {"none": 0.001}}, "experiments.llama.tasks.none: 0.001 of the authors of"),
    ({"tasks": {"whole": 40.0}}, "tasks.whole", "no retain questions", "at least 1"),
    ({"vector": "before", "before": None}, "vector: before", "the key before is missing"),
    ({"methods": {"original": {}, "salun": {}}}, "methods.salun", "for classifier"),
    (
        {"methods": {"original": {}, "negmerge": {}, "msa": {"along": "negmerge"}}},
        "methods.msa: slow starts at the original", "`start: before`",
    ),
    ({"before": {"epochs": 1, "warmup_steps": 99}}, "before", "is 99", "1,600 images", "25 steps"),
]
# fmt: on


@pytest.mark.parametrize(("changes", "parts"), [(changes, parts) for changes, *parts in WRONG])
def test_mistakes_are_named(load, changes, parts):
    line = refused(lambda: load(**changes))
    assert all(part in line for part in parts), line
