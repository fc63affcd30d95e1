"""A study with the pruned search chooses, and merges greedily, as with full sweeps."""

import yaml

from negmerge.files import read_json_records

STUDY = "config/studies/tiny.yaml"
METHODS = ("task-arithmetic", "uniform", "greedy", "negmerge", "conflict")
CHOICES = [f"results/tiny/clip/digits/selected/{method}.json" for method in METHODS]


def test_the_pruned_search_gives_the_same_choices(finished, editable):
    editable.edit(STUDY, "selection: {", "selection: {search: exact-pruned, ")
    path = editable.folder / STUDY
    content = yaml.safe_load(path.read_text())
    # Figures draw whole sweeps.
    path.write_text(yaml.safe_dump(content | {"figures": {}}, sort_keys=False))
    tables = "results/tiny/tables/accuracy.md"
    planned = editable.planned(tables)
    assert {f"score: clip, digits, {method}" for method in METHODS} <= planned
    assert not {job.split(":")[0] for job in planned} & {"finetune", "merge", "greedy", "sweep"}
    editable.make(tables)
    for place in CHOICES:
        (found,), (swept,) = (read_json_records(one.folder / place) for one in (editable, finished))
        passes, whole = found.pop("passes"), found.pop("passes_full")
        assert 0 < passes <= whole == swept.pop("passes") == swept.pop("passes_full")
        assert found == swept
