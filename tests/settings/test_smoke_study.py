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


def test_every_table_and_figure_of_the_paper_study_is_there(smoke, paper):
    for section in ("tables", "figures"):
        ours, theirs = getattr(smoke, section), getattr(paper, section)
        assert {name: ours[name].kind for name in theirs} == {
            name: one.kind for name, one in theirs.items()
        }


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
