"""The studies between the demo and the paper's: what they fetch, and in what they are smaller."""

from pathlib import Path

import pytest

from negmerge.settings.study import load_study

CONFIG = Path(__file__).parents[2] / "config"
NAMES = ("first-hour", "lite", "laptop")
MERGES = {"uniform", "greedy", "ties", "magmax", "negmerge"}


@pytest.fixture(scope="module")
def studies():
    return {name: load_study(CONFIG, name) for name in ("paper", *NAMES)}


def fetched(study):
    """The files that a study gets from the internet: data, and trained weights."""
    known = study.catalogue
    files = [file for name in study.datasets for file in known.datasets[name].downloads.values()]
    models = {one.model for one in study.experiments.values()}
    return files, [known.models[name].hub for name in models if known.models[name].is_fetched]


@pytest.mark.parametrize(("name", "most"), [("first-hour", 3), ("lite", 30), ("laptop", 0.18)])
def test_all_is_fetched_without_a_person_and_is_small(studies, name, most):
    data, weights = fetched(studies[name])
    assert not [file.name for file in data if file.manual]
    # The lists of RESISC45 are the only files whose size is not known; they are texts.
    unknown = [file.name for file in data if file.bytes is None]
    assert all(name.endswith(".txt") for name in unknown)
    assert sum(file.bytes or 0 for file in (*data, *weights)) < most * 1e9


def test_differences_are_printed_only_where_all_but_the_trials_are_the_papers(studies):
    compared = {
        (name, table, column.label)
        for name in NAMES
        for table, one in studies[name].tables.items()
        for column in one.columns
        if column.published and column.published.comparable
    }
    assert compared == {("lite", "table2", "rule `gap`")}
    ours, theirs = (
        studies[name].experiments["resnet-18"].model_dump() for name in ("lite", "paper")
    )
    assert ours == theirs | {"trials": 1}


@pytest.mark.parametrize("name", ["vit-b-32", "vit-b-32-linear"])
def test_lite_has_the_recipes_of_the_paper(studies, name):
    ours, theirs = (studies[study].experiments[name] for study in ("lite", "paper"))
    changed = {"tasks", "control", "pool", "methods"}
    assert ours.model_dump(exclude=changed) == theirs.model_dump(exclude=changed)
    assert len(ours.pool.changes) == 9
    for task in ours.tasks:
        for point in ours.pool.changes:
            assert ours.recipe(task, point) == theirs.recipe(task, point)
    assert ours.methods.keys() >= {"pretrained", "task-arithmetic", *MERGES}
