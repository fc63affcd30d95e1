"""The study `cars` is a part of the paper's, beside the authors' notebook."""

import pandas as pd
import pytest

from negmerge.settings.study import load_study


@pytest.fixture
def cars(config):
    return load_study(config, "cars")


def test_its_experiment_is_the_papers_with_one_task(cars, config):
    paper = load_study(config, "paper")
    own = cars.experiments["vit-b-32"].model_dump()
    whole = paper.experiments["vit-b-32"].model_dump() | {"tasks": ["cars"]}
    whole["methods"] = {name: whole["methods"][name] for name in own["methods"]}
    # The notebook that it stands beside has a grid without halvings.
    assert (own["selection"].pop("halvings"), whole["selection"].pop("halvings")) == (0, 2)
    assert own == whole
    assert (cars.seed, cars.device, cars.compute) == (paper.seed, paper.device, paper.compute)


def test_it_measures_at_each_coefficient_of_the_notebook(cars, config):
    table = cars.tables["sweep"]
    assert table.published == ["cars_b32_sweep"]
    known = pd.read_csv(config / "published" / "cars_b32_sweep.csv")
    assert set(known["method"]) == set(table.model_dump()["rows"].values())
    grid = cars.experiments["vit-b-32"].coefficients.values
    assert known[known["metric"] == "forget"]["coefficient"].to_list() == grid
