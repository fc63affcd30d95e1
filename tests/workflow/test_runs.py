"""The tiny study from nothing to its report: complete, repeatable, the same on any cores."""

import csv
import json

import pytest

from negmerge.checkpoints.states import read_state
from negmerge.selection.points import read_points
from recomputation import recompute


def test_every_output_of_the_study_is_there(finished):
    results = finished.folder / "results" / "tiny"
    parts = {
        "tables": (("accuracy", "sparsity", "mask", "gap", "cost"), ("md", "csv", "tex")),
        "figures": (
            ("tradeoff", "spread", "gap", "models", "signs", "gradcam"), ("png", "pdf", "csv"),
        ),
    }  # fmt: skip
    places = [f"{p}/{n}.{k}" for p, (names, kinds) in parts.items() for n in names for k in kinds]
    for place in [*places, "report.html"]:
        assert (results / place).stat().st_size > 0


def test_the_options_of_a_merge_are_searched_with_its_coefficient(finished):
    results = finished.folder / "results/tiny"
    folder = results / "clip/digits"
    (choice,) = json.loads((folder / "selected/ties.json").read_text())
    swept = read_points(folder / "sweeps/ties.csv")
    assert {point.vector: point.options for point in swept} == {
        f"ties.density{density}": {"density": density} for density in (0.5, 1.0)
    }
    assert (len(swept), choice["tried"]) == (6, 4)
    counts = {
        record["method"]: record
        for record in json.loads((folder / "sparsity/mask.json").read_text())
    }
    assert counts["ties"]["vector"] == choice["vector"]
    if choice["coefficient"]:
        density = choice["vector"].removeprefix("ties.")
        text = f"{density}-coefficient{choice['coefficient']:.10g}"
        assert text in (results / "tables/accuracy.md").read_text()


def test_a_table_runs_only_what_it_needs(checkout):
    rules = {job.split(":")[0] for job in checkout.planned("results/tiny/tables/sparsity.md")}
    assert rules == {"prepare", "base", "head", "finetune", "merge", "sparsity", "table"}


def test_snakemakes_own_report_works(finished, tmp_path):
    report = tmp_path / "report.html"
    run = finished.snakemake("--report", str(report), "--", "results/tiny/report.html")
    assert run.returncode == 0, run.stderr
    text = report.read_text()
    for word in ("Tables", "Figures", "accuracy", "tradeoff"):
        assert word in text


def test_a_method_that_trains_makes_the_image_encoder_forget(editable):
    study = "config/studies/tiny.yaml"
    use = "perta: {epochs: 1, learning_rate: 0.001, samples: 8, grid: {coefficient: [1.0, 2.0]}}"
    editable.edit(study, "{pretrained: {}, ", f"{{pretrained: {{}}, {use}, ")
    editable.edit(study, "      conflict: conflicting\n", "      perta: PerTA\n")
    table = "results/tiny/tables/accuracy.md"
    ran = editable.make(table)
    assert sorted(ran) == ["evaluate", "table", "unlearn"]
    folder = editable.folder / "results/tiny/clip/digits"
    (choice,) = json.loads((folder / "selected/perta.json").read_text())
    assert choice["kind"] == "unlearn"
    # The base and two coefficients, by the same rule as the merges.
    assert len((folder / "sweeps/perta.csv").read_text().splitlines()) == 4
    (score,) = json.loads((folder / "scores/perta.json").read_text())
    assert (score["forget"]["n"], score["control"]["n"]) == (397, 2000)
    assert "| PerTA | " in (editable.folder / table).read_text()


def test_a_request_that_comes_later_starts_from_what_the_one_before_has_left(editable):
    study = "config/studies/tiny.yaml"
    later = """
  later:
    scenario: zero-shot
    model: tiny-clip
    control: fashion
    tasks: [letters]
    after: {experiment: clip, task: digits, method: uniform}
    finetune: {epochs: 1, warmup_steps: 0}
    pool: {points: {a: {}}}
    methods:
      pretrained: {}
      negmerge: {}
      no-conflict: {along: negmerge, grid: {coefficient: [0.5, 1.0]}}
    coefficients: {step: 0.5, stop: 1.0}

tables:
  history:
    kind: history
    title: History
    rows: [pretrained, negmerge, no-conflict]
    columns: [{label: tiny, experiments: [later]}]
"""
    editable.edit(study, "\ntables:\n", later)
    table = "results/tiny/tables/history.csv"
    ran = editable.make(table)
    expected = ["evaluate"] * 2 + ["export", "finetune", "head", "merge", "score", "table"]
    assert [name for name in sorted(ran) if name != "prepare"] == [*expected, "unlearn"]
    results = editable.folder / "results/tiny"
    base = read_state(results / "clip/digits/unlearned/uniform.safetensors")
    tuned, vector = (
        read_state(results / f"later/letters/{kind}/a.safetensors")
        for kind in ("finetuned", "vectors")
    )
    assert all(vector[name].equal(tuned[name] - base[name]) for name in vector)
    # The earlier request's model is the base, so it has the same digits right.
    (before,) = json.loads((results / "clip/digits/scores/uniform.json").read_text())
    (after,) = json.loads((results / "later/letters/scores/pretrained.json").read_text())
    assert after["earlier-digits"] == before["forget"]
    assert after["control"] == before["control"]
    with open(editable.folder / table, newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["experiment"] == "mean"]
    values = {(row["method"], row["metric"]): row["value"] for row in rows}
    (score,) = json.loads((results / "later/letters/scores/no-conflict.json").read_text())
    earlier = [100 * one["earlier-digits"]["correct"] / 397 for one in (after, score)]
    gain = max(0.0, earlier[1] - earlier[0])
    assert float(values["no-conflict", "rebound"]) == pytest.approx(gain, abs=1e-6)
    assert not recompute(results).problems()
