"""The study `smoke` has everything of the paper study; that it runs, tests/smoke shows."""

from pathlib import Path

import pytest

from negmerge.settings.study import load_study

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(scope="module")
def smoke():
    return load_study(CONFIG, "smoke")


@pytest.fixture(scope="module")
def paper():
    return load_study(CONFIG, "paper")


def tables(study):
    """What a reader sees of each table before any number: its rows and columns."""
    found = {}
    for name, table in study.tables.items():
        columns = [
            (column.label, column.rule, column.published and column.published.model_dump())
            for column in table.columns
        ]
        for _, _, cells in columns:
            # No number of `smoke` compares with the paper's, and the task of a column is another.
            if cells:
                del cells["comparable"]
        found[name] = table.kind, table.rows, columns
    return found


def test_every_table_of_the_paper_study_has_the_same_rows_and_columns(smoke, paper):
    ours, theirs = tables(smoke), tables(paper)
    assert {name: ours.get(name) for name in theirs} == theirs


def test_every_figure_of_the_paper_study_shows_the_same(smoke, paper):
    ours, theirs = (
        {name: (figure.kind, figure.methods) for name, figure in study.figures.items()}
        for study in (smoke, paper)
    )
    assert ours == theirs


def methods(study, scenario):
    """The methods of a scenario, with their options but for those that say how long to train."""
    short = ("epochs", "max_epochs")
    return {
        (name, use.search, tuple((k, v) for k, v in use.options.items() if k not in short))
        for experiment in study.experiments.values()
        if experiment.scenario == scenario
        for name, use in experiment.methods.items()
    }


@pytest.mark.parametrize("scenario", ["zero-shot", "classifier"])
def test_every_method_of_the_paper_study_is_used_with_its_options(smoke, paper, scenario):
    assert methods(smoke, scenario) == methods(paper, scenario)


def test_every_way_to_work_of_the_paper_study_is_there(smoke, paper):
    ours, theirs = (
        {
            (
                one.scenario,
                getattr(one, "mode", None),
                one.selection.rule,
                *one.selection.other_rules,
            )
            for one in study.experiments.values()
        }
        for study in (smoke, paper)
    )
    assert ours >= theirs
