"""The classifier scenario of the tiny study."""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

TRIALS = ("trial1", "trial2")
STUDY = "config/studies/tiny.yaml"
METHODS = {"retrain", "original", "boundary-expand", "gradient-ascent", "negmerge"}
FEATURES = {"confidence", "correctness", "entropy", "m_entropy_official", "m_entropy", "prob"}


def read(finished, place):
    return json.loads((finished.folder / "results/tiny/resnet" / place).read_text())


def records(finished, folder, trial, method):
    """The records of a method by rule; of a method with nothing to choose under None."""
    found = read(finished, f"{trial}/{folder}/{method}.json")
    return {record["criterion"]: record for record in found}


def states(finished, trial, *places):
    folder = finished.folder / "results/tiny/resnet" / trial
    return [load_file(folder / f"{place}.safetensors") for place in places]


def test_scores_hold_what_the_table_shows(finished):
    for trial in TRIALS:
        for method in METHODS:
            scores = records(finished, "scores", trial, method)
            chosen = method in ("gradient-ascent", "negmerge")
            whole = ["retain", "gap", "unlabelled", "coarse"] if chosen else [None]
            assert list(scores) == [*whole, "halves"]
            for name, score in scores.items():
                # Ten of the twenty images that choose are left out of the scores.
                sizes, features = [20, 180, 50], FEATURES
                if name == "halves":
                    sizes, features = [10, 170, 40], {"confidence"}
                assert [score[role]["n"] for role in ("forget", "retain", "test")] == sizes
                assert set(score["membership"]) == features
    original, retrain = (
        records(finished, "scores", "trial1", name)[None] for name in ("original", "retrain")
    )
    assert original["relearn"]["epochs"] == [0, 0, 0]
    assert retrain["data_used"] == "retain"


def test_the_sweep_of_a_searched_method_say_what_was_tried(finished):
    for trial in TRIALS:
        path = finished.folder / f"results/tiny/resnet/{trial}/sweeps/gradient-ascent.csv"
        sweep = pd.read_csv(path)
        assert sweep["vector"][:3].to_list() == [
            "original", "learning_rate0.001", "learning_rate0.01",
        ]  # fmt: skip
        # One halving lies between the two, whichever of them a rule chooses.
        assert sweep["option_learning_rate"].to_list()[3:] == [0.00316]
        for name, choice in records(finished, "selected", trial, "gradient-ascent").items():
            assert choice["vector"] in sweep["vector"].to_list()
            tried = 2 if name == "coarse" else 3
            assert (choice["kind"], choice["searched"], choice["tried"]) == ("unlearn", True, tried)
            assert choice["unchanged"] == (choice["vector"] == "original")


def test_another_choice_has_its_own_grid_and_no_sweep_of_its_own(finished):
    choice = records(finished, "selected", "trial1", "negmerge")["coarse"]
    swept = pd.read_csv(finished.folder / "results/tiny/resnet/trial1/sweeps/negmerge.csv")
    own = swept[swept["criteria"].str.split().map(lambda names: "coarse" in names)]
    assert own["coefficient"].to_list() == [0.0, 1.0]
    assert len(swept) > 3
    assert (choice["by"], choice["tried"]) == ("gap", 1)
    text = (finished.folder / "results/tiny/tables/gap.md").read_text()
    assert (
        "coarse: criterion `coarse`, which is `gap` among 2 coefficients from 0 to 1 with 0" in text
    )
    assert "on every other image that chooses and scored on all the others" in text


@pytest.fixture(scope="module")
def asked(finished, tmp_path_factory):
    """The finished study with unlearned models as files, which are made when asked for."""
    copy = finished.copy(tmp_path_factory.mktemp("asked") / "workflow")
    names = ("gradient-ascent", "negmerge", "negmerge.gap")
    places = [f"results/tiny/resnet/trial1/unlearned/{name}.safetensors" for name in names]
    copy.make(*places)
    return copy


def test_a_searched_method_takes_over_one_of_its_models(asked):
    choice = records(asked, "selected", "trial1", "gradient-ascent")["retain"]
    places = ("unlearned/gradient-ascent", "candidates/gradient-ascent", "trained/original")
    unlearned, candidates, chosen = states(asked, "trial1", *places)
    if choice["coefficient"]:
        chosen = {key: candidates[f"{choice['vector']}/{key}"] for key in chosen}
    assert all(np.array_equal(unlearned[key], chosen[key]) for key in chosen)


def test_batch_statistics_are_measured_anew_where_a_vector_was_subtracted(asked):
    statistic = "network.bn1.running_var"
    chosen = records(asked, "selected", "trial1", "negmerge")
    for name, rule in (("negmerge", "retain"), ("negmerge.gap", "gap")):
        choice = chosen[rule]
        places = ("trained/original", f"unlearned/{name}", "vectors/ls0")
        original, unlearned, vector = states(asked, "trial1", *places)
        kept = np.array_equal(original[statistic], unlearned[statistic])
        assert kept == (choice["coefficient"] == 0)
        assert "network.bn1.weight" in vector
        assert statistic not in vector


def test_a_diverged_method_says_so_and_leaves_the_others_alone(editable):
    before = editable.artefacts()
    mild, wild = "boundary-expand: {epochs: 1}", "boundary-expand: {learning_rate: 1.0e+30}"
    editable.edit(STUDY, mild, wild)
    place = "results/tiny/resnet/trial1/scores/boundary-expand.json"
    run = editable.snakemake("--cores", "1", "--", place)
    assert run.returncode == 1
    log = editable.folder / "results/tiny/logs/unlearn/resnet/trial1/boundary-expand.log"
    errors = [line for line in log.read_text().splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in log.read_text()
    assert "lower the rate" in errors[0]
    after = editable.artefacts()
    assert set(before) - set(after) <= {
        "resnet/trial1/candidates/boundary-expand.safetensors",
        "resnet/trial1/sweeps/boundary-expand.csv",
        "resnet/trial1/selected/boundary-expand.json",
        "resnet/trial1/scores/boundary-expand.json",
    }
    assert all(after[file] == before[file] for file in after)


def test_each_trial_forgets_other_images(finished):
    splits = [read(finished, f"{trial}/split.json") for trial in TRIALS]
    for split in splits:
        assert (len(split["forget"]), len(split["retain"])) == (20, 180)
        assert sorted(split["forget"] + split["retain"]) == split["original"] == list(range(200))
    assert splits[0]["forget"] != splits[1]["forget"]
