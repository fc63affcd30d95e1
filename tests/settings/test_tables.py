"""The tables and figures of studies: what they may show, and the files that they are made from."""

import subprocess
import sys

import pytest

from negmerge import paths
from negmerge.settings.tables import Column, Figure, Table

GRADCAM = {
    "kind": "gradcam", "title": "x", "experiments": ["mini-clip", "mini-resnet"],
    "methods": {"negmerge": "NegMerge"},
}  # fmt: skip


def test_a_table_reads_scores_and_what_they_count(example_with):
    study = example_with()
    found = paths.table_records(study, study.tables["table2"])
    records = found["records"]
    for trial in ("trial1", "trial2"):
        folder = f"mini-resnet/{trial}/scores"
        for name in ("retrain", "original", "gradient-ascent", "negmerge"):
            assert f"{folder}/{name}.json" in records
    # The two columns show two rules, whose records stand in one file.
    assert len(records) == len(set(records)) == 8
    # Of each score, what it counts; the base is among the rows here.
    assert [place.replace("/outcomes/", "/scores/") for place in found["outcomes"]] == [
        record.replace(".json", ".safetensors") for record in records
    ]


def table(kind, rows, **column):
    column = Column(label="x", experiments=["mini-clip"], tasks=["digits"], **column)
    return Table(kind=kind, title="x", rows={row: row for row in rows}, columns=[column])


@pytest.mark.parametrize(
    ("kind", "row", "of_kind"),
    [("sparsity", "salun-2", "unlearn"), ("sweep", "task-arithmetic", "single")],
)
def test_tables_of_jobs_show_neither_criteria_nor_other_methods(kind, row, of_kind):
    with pytest.raises(ValueError, match=f"no criterion chooses what a table of kind {kind} shows"):
        table(kind, ["negmerge"], criterion="gap")
    with pytest.raises(ValueError, match=f"rows: '{row}' is of kind {of_kind}, .* merge, greedy"):
        table(kind, ["negmerge", row])


@pytest.mark.parametrize(
    ("place", "value"), [("figures/own", GRADCAM), ("experiments/mini-clip/durability", {})]
)
def test_a_linearised_network_has_no_map_and_is_not_rounded(spoil, example_with, place, value):
    example_with({"figures": {}, place: value})
    line = spoil("experiments/mini-clip/mode", "linear")
    assert line.startswith(place.replace("/", "."))
    assert "mode" in line or "tangent" in line


def test_methods_in_a_list_are_labelled_by_their_titles():
    names = ["negmerge-8", "random-label", "task-arithmetic"]
    titles = ["NegMerge (8)", "Random Labelling", "Task Arithmetic (single best)"]
    column = Column(label="x", experiments=["a"])
    shown = Table(kind="accuracy", title="x", rows=names, columns=[column])
    drawn = Figure(kind="models", title="x", experiments=["a"], methods=["negmerge-8"])
    assert shown.model_dump()["rows"] == dict(zip(names, titles, strict=True))
    assert drawn.model_dump()["methods"] == {"negmerge-8": "NegMerge (8)"}
    assert Table.model_validate(shown.model_dump()).model_dump() == shown.model_dump()


def test_reading_a_study_loads_neither_what_computes_nor_what_draws(config):
    code = (
        "import sys; from negmerge.settings.study import load_study; from negmerge import plugins;"
        f"load_study({str(config)!r}, 'example', options=False);"
        "[plugins.load(f, n) for f in (plugins.TABLES, plugins.FIGURES) for n in plugins.names(f)];"
        "print({'torch', 'pandas', 'matplotlib', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
