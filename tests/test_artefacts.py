import pytest
import yaml

from negmerge import artefacts
from negmerge.errors import UserError
from negmerge.scenarios.classifier.settings import Classifier
from negmerge.settings.exhibits import Column, Figure, Table
from negmerge.settings.study import load_study

POINTS = ["e16-ls0", "e16-ls0.1", "e8-ls0", "e8-ls0.1"]


@pytest.fixture
def study(config):
    return load_study(config, "example")


@pytest.fixture
def clip(study):
    return study.experiments["mini-clip"]


@pytest.fixture
def classifier(study):
    return study.experiments["mini-resnet"]


@pytest.fixture
def pruned(config):
    """The example's classifier with pruned searches, which one method does not want."""
    content = yaml.safe_load((config / "studies" / "example.yaml").read_text())
    one = content["experiments"]["mini-resnet"]
    one["methods"] |= {"ties": {"search": "full"}}
    one["selection"] |= {"search": "exact-pruned"}
    return Classifier.model_validate(one)


@pytest.mark.parametrize(
    ("method", "names", "folder"),
    [
        ("finetune", ["finetune"], "candidates"),
        ("gradient-ascent", ["gradient-ascent"], "candidates"),
        ("retrain", ["retrain"], "trained"),
        ("original", [], ""),
        ("task-arithmetic", POINTS, "vectors"),
        ("greedy", ["greedy"], "merged"),
        ("negmerge-8", ["negmerge-8"], "merged"),
    ],
)
def test_what_a_method_chooses_among_and_its_sweeps(classifier, method, names, folder):
    expected = [f"{folder}/{name}.safetensors" for name in names]
    assert artefacts.candidates(classifier, method) == expected
    assert artefacts.candidate_search(classifier, method) == []
    if classifier.is_searched(method):
        files = [f"sweeps/{name}.csv" for name in names]
        assert artefacts.sweeps(classifier, method) == files
        assert artefacts.selected(classifier, method) == [f"selected/{method}.json"]
    else:
        assert artefacts.selected(classifier, method) == []
        with pytest.raises(UserError, match=rf"^method '{method}' has nothing to choose"):
            artefacts.sweeps(classifier, method)


def test_what_is_merged_are_the_vectors_of_the_points(classifier):
    assert artefacts.pool_vectors(classifier, "negmerge-8") == [
        "vectors/e8-ls0.safetensors",
        "vectors/e8-ls0.1.safetensors",
    ]


def test_only_a_single_vector_and_its_mask_wait_for_a_choice(config, change_yaml):
    path = config / "studies" / "example.yaml"
    change_yaml(path, "experiments/mini-resnet/methods/masked-single", {})
    for name in ("task-arithmetic-8", "masked-single-8"):
        change_yaml(path, f"experiments/mini-resnet/methods/{name}", {"points": ["e8-*"]})
    one = load_study(config, "example").experiments["mini-resnet"]
    found = {name: artefacts.chosen_single(one, name) for name in one.methods}
    assert {name: place for name, place in found.items() if place} == {
        "task-arithmetic": ["selected/task-arithmetic.json"],
        "task-arithmetic-8": ["selected/task-arithmetic-8.json"],
        "masked-single": ["selected/task-arithmetic.json"],
        "masked-single-8": ["selected/task-arithmetic-8.json"],
    }


def test_candidates_are_points_merges_and_trained_models(classifier):
    for name, folder in (
        ("negmerge-8", "merged"),
        ("e8-ls0.1", "vectors"),
        ("finetune", "candidates"),
        ("retrain", "trained"),
    ):
        assert artefacts.candidate(classifier, name) == [f"{folder}/{name}.safetensors"]
    for name in ("task-arithmetic", "original", "negmerge.gap", "e9"):
        with pytest.raises(UserError, match=rf"^unknown vector '{name}'; "):
            artefacts.candidate(classifier, name)


def test_retrain_is_the_reference_of_all_others_where_some_rule_compares_with_it(classifier, clip):
    assert artefacts.reference(classifier, "negmerge") == ["sweeps/retrain.csv"]
    assert artefacts.reference(classifier, "retrain") == []
    assert artefacts.reference(clip, "negmerge") == []


def test_a_choice_that_changes_nothing_takes_the_scores_of_the_base(classifier, clip):
    files = ["scores/original.json", "outcomes/original.safetensors"]
    assert artefacts.unchanged(classifier, "negmerge") == files
    assert artefacts.unchanged(classifier, "gradient-ascent") == files
    for name in ("original", "retrain", "random-label-forget"):
        assert artefacts.unchanged(classifier, name) == []
    assert artefacts.unchanged(clip, "negmerge")[0] == "scores/pretrained.json"
    del clip.methods["pretrained"]
    assert artefacts.unchanged(clip, "negmerge") == []


def test_a_pruned_search_takes_the_place_of_sweeps_but_for_the_gap(pruned):
    searched = {name for name in pruned.methods if artefacts.candidate_search(pruned, name)}
    assert searched >= {"task-arithmetic", "greedy", "negmerge", "negmerge-8"}
    assert not searched & {"gradient-ascent", "ties", "original"}
    assert artefacts.candidate_search(pruned, "negmerge") == ["searches/negmerge.json"]
    # Its rules are `retain` and `gap`.
    assert artefacts.sweeps(pruned, "negmerge") == ["sweeps/negmerge.csv"]
    for rules, files in (
        ({"rule": "retain", "other_rules": []}, (["searches/negmerge.json"], [])),
        ({"rule": "gap", "other_rules": []}, ([], ["sweeps/negmerge.csv"])),
    ):
        one = pruned.model_copy(update={"selection": pruned.selection.model_copy(update=rules)})
        found = artefacts.candidate_search(one, "negmerge"), artefacts.sweeps(one, "negmerge")
        assert found == files


def test_a_method_may_be_searched_with_pruning_by_itself(config, change_yaml):
    path = config / "studies" / "example.yaml"
    change_yaml(path, "experiments/mini-clip/methods/emr", {"search": "exact-pruned"})
    clip = load_study(config, "example").experiments["mini-clip"]
    found = [name for name in clip.methods if artefacts.candidate_search(clip, name)]
    assert found == ["emr"]


def test_a_table_reads_the_scores_of_its_rows_whatever_rule_a_column_shows(study):
    found = artefacts.table_records(study, study.tables["table2"])
    records = found["records"]
    for trial in ("trial1", "trial2"):
        for name in ("retrain", "original", "gradient-ascent", "negmerge"):
            assert f"mini-resnet/{trial}/scores/{name}.json" in records
    assert len(records) == len(set(records)) == 8
    # Of each score, what it counts; the base is among the rows here.
    assert [place.replace("/outcomes/", "/scores/") for place in found["outcomes"]] == [
        record.replace(".json", ".safetensors") for record in records
    ]


def test_a_table_of_scores_reads_the_outcomes_of_the_base_whatever_its_rows(study):
    found = artefacts.table_records(study, table("accuracy", ["negmerge"]))
    assert found["records"] == ["mini-clip/digits/scores/negmerge.json"]
    assert found["outcomes"] == [
        "mini-clip/digits/outcomes/negmerge.safetensors",
        "mini-clip/digits/outcomes/pretrained.safetensors",
    ]
    del study.experiments["mini-clip"].methods["pretrained"]
    found = artefacts.table_records(study, table("accuracy", ["negmerge"]))
    assert found["outcomes"] == ["mini-clip/digits/outcomes/negmerge.safetensors"]


def table(kind, rows, **column):
    column = Column(label="x", experiments=["mini-clip"], tasks=["digits"], **column)
    return Table(kind=kind, title="x", rows={row: row for row in rows}, columns=[column])


def test_costs_are_those_of_the_jobs_that_merge(study):
    found = artefacts.table_records(study, table("cost", ["negmerge", "greedy"]))
    assert found["records"] == [
        "benchmarks/merge/mini-clip/digits/negmerge.tsv",
        "benchmarks/greedy/mini-clip/digits/greedy.tsv",
    ]


def test_a_table_of_masks_reads_scores_and_counts(study):
    found = artefacts.table_records(study, table("mask", ["negmerge", "task-arithmetic"]))
    assert found["records"] == [
        f"mini-clip/digits/{folder}/{name}.json"
        for name in ("negmerge", "task-arithmetic")
        for folder in ("scores", "sparsity")
    ]
    column = {"label": "x", "experiments": ["mini-resnet"], "tasks": ["trial1"], "rule": "gap"}
    rows = {"negmerge": "x", "task-arithmetic": "y"}
    shown = Table(kind="mask", title="x", rows=rows, columns=[column])
    # A merge is counted once, whatever rule chose it; and the gap needs Retrain's scores.
    assert artefacts.table_records(study, shown)["records"] == [
        f"mini-resnet/trial1/{place}.json"
        for place in (
            "scores/negmerge",
            "sparsity/negmerge",
            "scores/task-arithmetic",
            "sparsity/task-arithmetic",
            "scores/retrain",
        )
    ]


def test_a_table_of_a_sweep_reads_the_sweeps(study):
    found = artefacts.table_records(study, table("sweep", ["negmerge", "greedy"]))
    assert found["records"] == [
        "mini-clip/digits/sweeps/negmerge.csv",
        "mini-clip/digits/sweeps/greedy.csv",
    ]


@pytest.mark.parametrize(
    ("kind", "row", "of_kind"),
    [
        ("sparsity", "salun-2", "unlearn"),
        ("sweep", "task-arithmetic", "single"),
        ("sparsity", "retrain", "retrain"),
        ("cost", "original", "base"),
        ("cost", "task-arithmetic", "single"),
    ],
)
def test_tables_of_jobs_show_neither_rules_nor_other_methods(kind, row, of_kind):
    with pytest.raises(ValueError, match=f"no rule chooses what a table of kind {kind} shows"):
        table(kind, ["negmerge"], rule="gap")
    found = f"rows: '{row}' is of kind {of_kind}, and a table of kind {kind} shows merge, greedy"
    with pytest.raises(ValueError, match=found):
        table(kind, ["negmerge", row])


def test_a_table_of_masks_shows_vectors_only():
    found = (
        "rows: 'pretrained' is of kind base, and a table of kind mask shows merge, greedy, single"
    )
    with pytest.raises(ValueError, match=found):
        table("mask", ["negmerge", "pretrained"])


def test_figures_of_scores_read_scores(study):
    (scores,) = artefacts.figure_data(study, study.figures["gap"]).values()
    assert len(scores) == 8
    assert scores[0] == "mini-resnet/trial1/scores/retrain.json"
    models = Figure(kind="models", title="x", experiments=["mini-clip"], methods={"uniform": "U"})
    assert artefacts.figure_data(study, models) == {
        "scores": [f"mini-clip/{task}/scores/uniform.json" for task in ("digits", "letters")]
    }


def test_a_report_shows_the_choices_where_there_was_one(study):
    selected = artefacts.report_parts(study)["selected"]
    assert "mini-resnet/trial1/selected/negmerge.json" in selected
    assert "mini-resnet/trial2/selected/gradient-ascent.json" in selected
    unchosen = ("/retrain.json", "/original.json", "/pretrained.json")
    assert not [place for place in selected if place.endswith(unchosen)]


EXHIBITS = {
    "a gap without Retrain": (
        "tables/table2/rows",
        {"negmerge": "x"},
        "tables.table2: rows: a table of kind gap needs the row retrain",
    ),
    "a figure of gaps without Retrain": (
        "figures/gap/methods",
        {"negmerge": "x"},
        "figures.gap: methods: a figure of kind gap needs retrain",
    ),
    "a table of the other scenario": (
        "tables/table2/columns/0/experiments",
        ["mini-clip"],
        "tables.table2.columns.retain: 'mini-clip' is of scenario zero-shot, kind gap shows "
        "classifier",
    ),
    "a figure of the other scenario": (
        "figures/figure1a/experiments",
        ["mini-resnet"],
        "figures.figure1a: 'mini-resnet' is of scenario classifier, kind tradeoff shows zero-shot",
    ),
    "a sweep of a classifier": (
        "tables/table2",
        {
            "kind": "sweep",
            "title": "x",
            "rows": {"negmerge": "x"},
            "columns": [{"label": "retain", "experiments": ["mini-resnet"]}],
        },
        "tables.table2.columns.retain: 'mini-resnet' is of scenario classifier, kind sweep shows "
        "zero-shot",
    ),
    "a mask of other points": (
        "tables/table2",
        {
            "kind": "mask",
            "title": "x",
            "rows": {"negmerge": "x", "negmerge-8": "y"},
            "columns": [{"label": "net", "experiments": ["mini-resnet"]}],
        },
        "tables.table2.columns.net: 'negmerge-8' merges other points of 'mini-resnet' than "
        "'negmerge'; expected merges of the same points",
    ),
    "a rule that chose nothing": (
        "tables/table2/columns/1/rule",
        "gab",
        "tables.table2.columns.gap: unknown rule 'gab'; did you mean 'gap'? valid: gap, retain",
    ),
    "a trial": (
        "tables/table2/columns/0/tasks",
        ["trial3"],
        "tables.table2.columns.retain: unknown task 'trial3'; did you mean 'trial2'? valid: "
        "trial1, trial2",
    ),
}


@pytest.mark.parametrize(("place", "value", "finding"), EXHIBITS.values(), ids=EXHIBITS)
def test_what_cannot_be_shown_is_refused(config, change_yaml, place, value, finding):
    path = config / "studies" / "example.yaml"
    change_yaml(path, place, value)
    with pytest.raises(UserError) as caught:
        load_study(config, "example")
    assert str(caught.value) == f"{path}: {finding}"


def test_a_mask_of_a_classifier_needs_retrain(config, change_yaml):
    path = config / "studies" / "example.yaml"
    change_yaml(path, "figures", {})
    change_yaml(path, "experiments/mini-resnet/methods", {"original": {}, "negmerge": {}})
    column = {"label": "net", "experiments": ["mini-resnet"]}
    shown = {"kind": "mask", "title": "x", "rows": {"negmerge": "x"}, "columns": [column]}
    change_yaml(path, "tables", {"mask": shown})
    with pytest.raises(UserError) as caught:
        load_study(config, "example")
    assert str(caught.value).endswith(
        "tables.mask.columns.net: unknown method 'retrain'; valid: negmerge, original"
    )


def test_a_column_of_a_sweep_has_one_grid_of_coefficients(config):
    path = config / "studies" / "example.yaml"
    study = yaml.safe_load(path.read_text())
    clip = study["experiments"]["mini-clip"]
    study["experiments"]["other"] = clip | {"coefficients": {"step": 0.25, "stop": 0.5}}
    column = {"label": "both", "experiments": ["mini-clip", "other"]}
    study["tables"]["sweep"] = {
        "kind": "sweep", "title": "x", "rows": {"negmerge": "x"}, "columns": [column]
    }  # fmt: skip
    path.write_text(yaml.safe_dump(study))
    with pytest.raises(UserError) as caught:
        load_study(config, "example")
    assert str(caught.value).endswith(
        "tables.sweep.columns.both: 'other' has other coefficients than those before it"
    )
