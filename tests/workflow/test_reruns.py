"""After an edit, exactly the jobs run again that depend on what was edited (seen by dry runs)."""

import pytest

REPORT = "results/tiny/report.html"
LIBRARY = "workflow/scripts/negmerge"


def test_a_merge_method_reruns_its_merges_and_what_follows(editable):
    editable.edit(
        f"{LIBRARY}/merging/methods/negmerge.py",
        "return keep(merged, summary.agree)",
        "return keep(merged, summary.agree) * 1.0",
    )
    planned = editable.planned(REPORT)
    assert {
        "merge: clip, digits, negmerge",
        "sparsity: clip, digits, sparsity",
        "sparsity: clip, digits, mask",
        "score: clip, digits, negmerge",
        "table: accuracy",
        "table: sparsity",
        "figure: tradeoff",
        "report: tiny",
    } <= planned
    assert not [job for job in planned if job.startswith(("finetune", "base", "prepare"))]
    assert not [
        job
        for job in planned
        if job.endswith((" uniform", " conflict", " greedy", " task-arithmetic"))
    ]


def test_an_unlearn_method_reruns_its_models_and_what_follows(editable):
    editable.edit(f"{LIBRARY}/unlearning/methods/gradient_ascent.py", '"""', '"""Edited. ')
    planned = editable.planned(REPORT)
    assert {job for job in planned if job.startswith("unlearn")} == {
        f"unlearn: resnet, {trial}, gradient-ascent" for trial in ("trial1", "trial2")
    }
    assert not [job for job in planned if job.startswith(("train", "finetune", "merge"))]


def test_a_script_reruns_its_jobs(editable):
    editable.edit("workflow/scripts/table.py", '"""', '"""Edited. ')
    assert {job.split(":")[0] for job in editable.planned(REPORT)} == {"table", "report"}


def test_a_point_that_is_new_or_set_otherwise_is_made_with_what_follows(editable):
    for old, new in (
        ("weight_decay: 0.2", "weight_decay: 0.3"),
        ("{ls0: {}, ", "{ls0: {}, ls2: {label_smoothing: 0.2}, "),
    ):
        editable.edit("config/studies/tiny.yaml", old, new)
    planned = editable.planned(REPORT)
    assert {job for job in planned if job.startswith("finetune")} == {
        "finetune: clip, digits, m10",
        "finetune: resnet, trial1, ls2",
        "finetune: resnet, trial2, ls2",
    }
    assert {job for job in planned if job.startswith(("unlearn", "train", "base"))} == {
        f"unlearn: clip, digits, {along}" for along in ("atlas", "gradfix", "simplex")
    }
    assert {job for job in planned if job.startswith("sweep: clip")} == {"sweep: clip, digits, m10"}
    assert {job for job in planned if job.startswith("score: clip")} == {
        f"score: clip, digits, {name}"
        for name in (
            *("task-arithmetic", "uniform", "greedy", "mean-best", "ties", "negmerge", "conflict"),
            *("random-mask", "masked-single"),
        )
    }
    assert "evaluate: clip, digits, pretrained" not in planned


def test_the_way_to_compute_reruns_what_computes_a_model_that_forgets(editable):
    editable.edit("config/studies/tiny.yaml", "seed: 3", "seed: 3\ncompute: {precision: bf16}")
    rules = {job.split(":")[0] for job in editable.planned(REPORT)}
    assert {"train", "finetune", "unlearn", "sweep", "greedy", "score", "evaluate"} <= rules
    assert not rules & {"prepare", "split", "base", "head"}


def test_prompts_rerun_the_heads_that_they_make(editable):
    editable.edit("config/prompts.yaml", "a photo of a {}.", "a picture of a {}.")
    planned = editable.planned(REPORT)
    assert {job for job in planned if job.startswith("head")} == {"head: clip, fashion"}
    assert not [job for job in planned if job.startswith(("base", "finetune"))]


def test_touched_files_and_the_model_of_a_study_file_rerun_nothing(editable):
    for place in (f"{LIBRARY}/merging/methods/negmerge.py", "workflow/scripts/table.py"):
        (editable.folder / place).touch()
    editable.edit(f"{LIBRARY}/settings/study.py", '"""', '"""Edited. ')
    assert editable.planned(REPORT) == set()


@pytest.mark.parametrize(
    "machine",
    [
        ("--cores", "7", "--set-threads", "finetune=3", "sweep=5", "unlearn=2", "evaluate=7"),
        ("--profile", "slurm", "--config", "device=cuda"),
    ],
)
def test_another_machine_reruns_nothing(finished, machine):
    run = finished.snakemake("--dry-run", *machine, "--", REPORT)
    assert run.returncode == 0, run.stderr
    assert "Nothing to be done" in run.stdout + run.stderr
