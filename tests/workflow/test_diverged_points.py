"""Points of a pool that diverge are left out, and the study says so and goes on."""

import csv
import json

import pytest

from negmerge.checkpoints.divergence import split_diverged
from negmerge.checkpoints.states import read_metadata, read_state

STUDY = "config/studies/tiny.yaml"
CLIP, TRIAL = "results/tiny/clip/digits", "results/tiny/resnet/trial1"
MASK, GAP = "results/tiny/tables/mask", "results/tiny/tables/gap"
M10 = "{m10: {weight_decay: 0.2}}"
LS0, LS1 = "{ls0: {}", "ls1: {label_smoothing: 0.1}}"
WILD = "learning_rate: 1.0e+30"


@pytest.fixture(scope="module")
def wild(finished, tmp_path_factory):
    """A copy in which one of the two points of CLIP diverged, and both of the classifier."""
    copy = finished.copy(tmp_path_factory.mktemp("wild") / "workflow")
    copy.edit(STUDY, "trials: 2", "trials: 1")
    copy.edit(STUDY, M10, f"{{m10: {{{WILD}}}}}")
    copy.edit(STUDY, LS0, f"{{ls0: {{{WILD}}}")
    copy.edit(STUDY, LS1, f"ls1: {{{WILD}}}}}")
    targets = [f"{MASK}.md", f"{GAP}.md", f"{CLIP}/merged/greedy.safetensors"]
    copy.make(*targets)
    return copy


def record(run, place):
    return json.loads((run.folder / place).read_text())[0]


def means(run, table):
    with open(run.folder / f"{table}.csv", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["experiment"] == "mean"]
    return {(row["column"], row["method"], row["metric"]): row for row in rows}


def test_the_files_of_the_point_hold_its_name_and_no_weights(wild):
    for folder in ("finetuned", "vectors"):
        path = wild.folder / CLIP / folder / "m10.safetensors"
        assert read_state(path) == {}
        assert read_metadata(path)["diverged"] == ["m10"]
    log = wild.folder / "results/tiny/logs/finetune/clip/digits/m10.log"
    assert "the pool is without this point: step " in log.read_text()


def test_merges_are_of_the_others_and_name_the_point(wild):
    folder = wild.folder / CLIP
    only = read_state(folder / "vectors" / "m1.safetensors")
    for method in ("negmerge", "greedy"):
        path = folder / "merged" / f"{method}.safetensors"
        merged = read_state(path)
        assert all(merged[name].equal(tensor) for name, tensor in only.items())
        assert split_diverged([path]) == ([path], ["m10"])


def test_the_single_best_is_another_point(wild):
    for method in ("task-arithmetic", "masked-single"):
        score = record(wild, f"{CLIP}/scores/{method}.json")
        assert (score["models"], score["diverged"]) == (1, ["m10"])
    selected = record(wild, f"{CLIP}/selected/task-arithmetic.json")
    assert (selected["vector"], selected["diverged"]) == ("m1", ["m10"])


def test_a_table_names_the_point_and_how_many_remained(wild):
    found = means(wild, MASK)
    cell = found["tiny", "negmerge", "forget"]
    assert (cell["models"], cell["diverged"], cell["nothing_left"]) == ("1", "m10", "False")
    # A single vector agrees with itself wherever it is not zero, as by chance.
    assert float(found["tiny", "negmerge", "agreement"]["value"]) == 100
    text = (wild.folder / f"{MASK}.md").read_text()
    assert (
        "clip/digits: left out, since their training diverged: m10; 1 of 2 models remain for "
        "NegMerge, Random, Single, Both and TIES."
    ) in text
    assert "by chance it would be 100 % = 2^(1 - 1)" in text


def test_where_all_points_diverged_the_merge_is_missing_from_the_table(wild):
    path = wild.folder / TRIAL / "merged" / "negmerge.safetensors"
    assert (read_state(path), split_diverged([path])) == ({}, ([], ["ls0", "ls1"]))
    score = record(wild, f"{TRIAL}/scores/negmerge.json")
    assert (score["vector"], score["models"], score["diverged"]) == (None, 0, ["ls0", "ls1"])
    for column in ("retain", "gap"):
        found = means(wild, GAP)
        assert found[column, "negmerge", "gap"]["value"] == "NA"
        assert found[column, "negmerge", "gap"]["nothing_left"] == "True"
        assert float(found[column, "gradient-ascent", "gap"]["value"]) >= 0
    text = (wild.folder / f"{GAP}.md").read_text()
    assert "| NegMerge " in text
    assert "NA ∅" in text
    assert "ls0, ls1; 0 of 2 models remain for NegMerge." in text


def test_no_model_is_exported_where_none_is_left(wild):
    log = "results/tiny/logs/export/resnet/trial1/negmerge.log"
    line = wild.failure(f"{TRIAL}/unlearned/negmerge.safetensors", log)
    assert line == (
        "error: negmerge: no unlearned model, since the training of ls0, ls1 diverged; lower the "
        "rate"
    )
