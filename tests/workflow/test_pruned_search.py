"""A study with the pruned search chooses, and merges greedily, as with full sweeps."""

import json
import shutil

from negmerge.checkpoints.states import read_metadata

STUDY = "config/studies/tiny.yaml"
METHODS = ("task-arithmetic", "uniform", "greedy", "negmerge", "conflict")
CHOICES = [f"results/tiny/clip/digits/selected/{method}.json" for method in METHODS]
MERGED = "results/tiny/clip/digits/merged/greedy.safetensors"


def test_the_pruned_search_gives_the_same_choices_without_sweeps(finished, editable):
    editable.edit(STUDY, "selection: {", "selection: {search: exact-pruned, ")
    shutil.rmtree(editable.folder / "results/tiny/clip/digits/sweeps")
    rules = {job.split(":")[0] for job in editable.planned("results/tiny/tables/accuracy.md")}
    assert {"search", "select"} <= rules
    assert not rules & {"finetune", "merge", "greedy", "sweep"}
    # The figures of such a study still draw sweeps.
    figure = editable.planned("results/tiny/figures/spread.png")
    assert {"sweep: clip, digits, m1", "sweep: clip, digits, m10"} <= figure

    for place in CHOICES:
        (editable.folder / place).unlink()
    run = editable.snakemake("--cores", "2", "--", *CHOICES)
    assert run.returncode == 0, run.stderr
    for place in CHOICES:
        assert (editable.folder / place).read_bytes() == (finished.folder / place).read_bytes()
    search = editable.folder / "results/tiny/clip/digits/searches/task-arithmetic.json"
    found = json.loads(search.read_text())
    assert 0 < found["images"] <= found["images_full"]
    assert found["choice"]["vector"] in ("m1", "m10")


def test_a_greedy_merge_names_its_points(finished):
    found = read_metadata(finished.folder / MERGED)
    assert found["options"] == {"strict": True, "search_each_step": True}
    assert {trial["name"] for trial in found["trials"]} == {"m1", "m10"}
    assert found["accepted"][0] == found["trials"][0]["name"]


def test_editing_the_greedy_merge_reruns_no_other_merge(editable):
    editable.edit("workflow/scripts/negmerge/selection/merge_greedily.py", '"""', '"""Edited. ')
    planned = editable.planned("results/tiny/tables/accuracy.md")
    assert "greedy: clip, digits, greedy" in planned
    assert "sweep: clip, digits, greedy" in planned
    assert not [job for job in planned if job.startswith(("merge", "finetune"))]
    assert not [job for job in planned if job.endswith((" negmerge", " uniform"))]
