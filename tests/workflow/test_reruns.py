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
        "sweep: clip, digits, negmerge",
        "select: clip, digits, negmerge",
        "evaluate: clip, digits, negmerge",
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


def test_a_script_reruns_its_jobs_and_its_age_none(editable):
    editable.edit("workflow/scripts/table.py", '"""', '"""Edited. ')
    assert {job.split(":")[0] for job in editable.planned(REPORT)} == {"table", "report"}
    editable.edit("workflow/scripts/table.py", '"""Edited. ', '"""')
    assert not editable.planned(REPORT)


def test_the_format_of_tables_reruns_only_the_tables(editable):
    editable.edit(f"{LIBRARY}/reporting/writing.py", '"""', '"""Edited. ')
    assert {job.split(":")[0] for job in editable.planned(REPORT)} == {"table", "report"}


def test_a_points_settings_rerun_that_point_and_what_follows(editable):
    editable.edit("config/studies/tiny.yaml", "weight_decay: 0.2", "weight_decay: 0.3")
    planned = editable.planned(REPORT)
    assert {job for job in planned if job.startswith("finetune")} == {"finetune: clip, digits, m10"}
    assert {job for job in planned if job.startswith("sweep")} == {
        "sweep: clip, digits, m10",
        "sweep: clip, digits, uniform",
        "sweep: clip, digits, greedy",
        "sweep: clip, digits, negmerge",
        "sweep: clip, digits, conflict",
        "sweep: clip, digits, random-mask",
        "sweep: clip, digits, masked-single",
    }
    assert "evaluate: clip, digits, pretrained" not in planned


def test_the_grid_of_coefficients_reruns_no_merge_but_that_of_what_was_chosen(editable):
    editable.edit("config/studies/tiny.yaml", "stop: 1.0", "stop: 1.5")
    planned = editable.planned(REPORT)
    assert "sweep: clip, digits, m1" in planned
    assert {job for job in planned if job.startswith(("finetune", "merge", "sparsity"))} == {
        "merge: clip, digits, masked-single",
        "sparsity: clip, digits, mask",
    }


def test_one_model_more_in_the_pool_makes_no_unlearn_method_run_again(editable):
    editable.edit(
        "config/studies/tiny.yaml", "{ls0: {}, ", "{ls0: {}, ls2: {label_smoothing: 0.2}, "
    )
    planned = editable.planned(REPORT)
    assert "finetune: resnet, trial1, ls2" in planned
    assert not [job for job in planned if job.startswith(("unlearn", "train", "base"))]


def test_the_way_to_compute_reruns_what_computes_a_model_that_forgets(editable):
    editable.edit("config/studies/tiny.yaml", "seed: 3", "seed: 3\ncompute: {precision: bf16}")
    rules = {job.split(":")[0] for job in editable.planned(REPORT)}
    assert {"train", "finetune", "unlearn", "sweep", "greedy", "evaluate"} <= rules
    assert not rules & {"prepare", "split", "base", "head"}


def test_prompts_rerun_the_heads_that_they_make(editable):
    editable.edit("config/prompts.yaml", "a photo of a {}.", "a picture of a {}.")
    planned = editable.planned(REPORT)
    assert {job for job in planned if job.startswith("head")} == {"head: clip, fashion"}
    assert not [job for job in planned if job.startswith(("base", "finetune"))]


def test_a_touched_file_and_the_model_of_a_study_file_rerun_nothing(editable):
    (editable.folder / LIBRARY / "merging/methods/negmerge.py").touch()
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
