"""A small language model forgets: every rule runs, and the numbers hang together."""

import csv
import json

import pytest

from negmerge.checkpoints.states import read_state
from negmerge.evaluation.outcomes import read_outcomes
from negmerge.selection.points import read_points
from tiny_study import add_tiny_language

TASK = "results/tiny_language/llama/forget25"


@pytest.fixture(scope="module")
def finished_language(checkout, tmp_path_factory):
    """A copy of the workflow in which the tiny study of a language model has run."""
    copy = checkout.copy(tmp_path_factory.mktemp("language") / "workflow")
    add_tiny_language(copy.folder)
    copy.make("results/tiny_language/report.html")
    return copy


def scores(run, method):
    return json.loads((run.folder / TASK / "scores" / f"{method}.json").read_text())[0]


def cells(run, table):
    path = run.folder / "results" / "tiny_language" / "tables" / f"{table}.csv"
    with open(path, newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["experiment"] == "mean"]
    return {(row["method"], row["metric"]): row for row in rows}


def test_vectors_are_the_differences_to_the_model_that_knows_all(finished_language):
    folder = finished_language.folder / TASK
    base = read_state(folder.parent / "all" / "trained" / "original.safetensors")
    for point in ("slow", "fast", "lora"):
        tuned, vector = (
            read_state(folder / kind / f"{point}.safetensors") for kind in ("finetuned", "vectors")
        )
        for name, change in vector.items():
            assert change.equal(tuned[name] - base[name])
        moved = {name for name, change in vector.items() if change.any()}
        is_linear = {name for name in base if name.endswith("proj.weight")}
        assert moved == (is_linear if point == "lora" else set(base))


def test_the_pruned_search_chooses_as_the_full_one(finished_language):
    full, pruned = (scores(finished_language, name) for name in ("negmerge", "negmerge-pruned"))
    assert pruned["coefficient"] == full["coefficient"]
    assert pruned["forget_accuracy"] == full["forget_accuracy"]
    assert pruned["answers"] == full["answers"]


def test_a_table_shows_what_scores_hold(finished_language):
    found = cells(finished_language, "language")
    for method in ("original", "retrain", "uniform", "negmerge", "npo", "idk-dpo"):
        record = scores(finished_language, method)
        for metric, role, name in (
            ("forget", "forget", "probability"),
            ("retain", "retain", "probability"),
            ("extraction", "forget", "extraction"),
            ("rouge", "forget", "rouge"),
        ):
            cell = found[method, metric]
            assert float(cell["value"]) == pytest.approx(
                100 * record["answers"][role][name]["mean"], abs=1e-6
            )
    assert float(found["retrain", "distance"]["value"]) == 0
    assert float(found["retrain", "privleak"]["value"]) == 0
    assert float(found["original", "distance"]["value"]) > 0


def test_outcomes_hold_what_scores_sum_up(finished_language):
    (outcomes,) = read_outcomes(finished_language.folder / TASK / "outcomes/original.safetensors")
    record = scores(finished_language, "original")
    for role in ("forget", "retain", "holdout"):
        assert outcomes.right(role).sum() == record[role]["correct"]
        assert len(outcomes.right(role)) == record[role]["n"]
        mean = outcomes.arrays[f"{role}_rouge"].mean()
        assert mean == pytest.approx(record["answers"][role]["rouge"]["mean"])


def test_models_are_rounded_and_taught_again_as_in_the_other_scenarios(finished_language):
    found = cells(finished_language, "lasting")
    for method in ("retrain", "original", "negmerge"):
        record, treated = scores(finished_language, method), found[method, "forget_as_is"]
        share = record["forget"]["correct"] / record["forget"]["n"]
        assert float(treated["value"]) == pytest.approx(100 * share, abs=1e-6)
        # A model that would diverge has no scores.
        again = found[method, "forget_relearned"]
        assert again["value"] == "NA" or 0 <= float(again["value"]) <= 100
    # Compared with itself, unless it learns nothing.
    assert found["retrain", "lasting_relearned"]["value"] in ("100.0", "NA")


def test_vectors_may_start_before_the_authors_were_taught(finished_language, tmp_path):
    run = finished_language.copy(tmp_path / "workflow")
    study = "config/studies/tiny_language.yaml"
    run.edit(study, "    finetune: {", "    vector: before\n    finetune: {")
    grid = "{coefficient: [1.0, 2.0], retain_coefficient: [0.0, 1.0]}"
    use = "      gradfix: {along: negmerge}\n"
    run.edit(study, use, f"{use}      msa: {{along: negmerge, grid: {grid}}}\n")
    ran = run.make(*(f"{TASK}/sweeps/{method}.csv" for method in ("negmerge", "msa")))
    assert sorted(ran) == [*["finetune"] * 4, "merge", "score", "unlearn"]
    folder = run.folder / TASK
    before = read_state(folder.parent / "all" / "trained" / "before.safetensors")
    # What MSA adds is tuned on a sample to retain, by the recipe of the first point.
    for point in ("slow", "fast", "lora", "retain-of-fast"):
        tuned, vector = (
            read_state(folder / kind / f"{point}.safetensors") for kind in ("finetuned", "vectors")
        )
        assert any(change.any() for change in vector.values())
        for name, change in vector.items():
            assert change.equal(tuned[name] - before[name])
    # What forgets is the model that knows all, all the same.
    with open(folder / "sweeps" / "negmerge.csv", newline="") as stream:
        first = next(csv.DictReader(stream))
    tried = {point.vector: point.options for point in read_points(folder / "sweeps/msa.csv")}
    assert tried["coefficient2.0-retain_coefficient1.0"] == {
        "coefficient": 2.0, "retain_coefficient": 1.0,
    }  # fmt: skip
    original = scores(run, "original")
    assert float(first["coefficient"]) == 0
    assert float(first["forget_correct"]) == original["forget"]["correct"]


def test_a_second_run_has_nothing_to_do(finished_language):
    assert finished_language.planned("results/tiny_language/report.html") == set()
