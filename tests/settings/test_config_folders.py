"""Of several configuration folders, the first goes before the others, file by file, row by row."""

import pytest
import yaml

from negmerge.errors import UserError
from negmerge.jobs.costs import load_costs
from negmerge.settings.catalogue import load_catalogue
from negmerge.settings.study import load_study


@pytest.fixture
def both(config, tmp_path):
    """An empty folder of the user's, and the shipped one."""
    own = tmp_path / "own" / "config"
    (own / "studies").mkdir(parents=True)
    return own, config


def test_a_study_of_ones_own_extends_a_shipped_one(both):
    (both[0] / "studies" / "mine.yaml").write_text("extends: example\ntitle: Of my own\n")
    mine, shipped = (load_study(both, name) for name in ("mine", "example"))
    assert mine.title == "Of my own"
    assert mine.experiments == shipped.experiments


def test_a_study_of_ones_own_hides_the_shipped_one_of_its_name(both):
    text = (both[1] / "studies" / "example.yaml").read_text()
    content = yaml.safe_load(text) | {"title": "Another"}
    (both[0] / "studies" / "example.yaml").write_text(yaml.safe_dump(content))
    assert load_study(both, "example").title == "Another"
    assert load_study(both[1], "example").title != "Another"


def test_rows_of_ones_own_stand_beside_the_shipped_ones_and_before_one_of_their_name(both):
    shipped = load_catalogue(both[1])
    row = yaml.safe_load((both[1] / "models.yaml").read_text())["mini-clip"]
    rows = {"mini-clip": row | {"title": "Mine"}, "new": row}
    (both[0] / "models.yaml").write_text(yaml.safe_dump(rows))
    found = load_catalogue(both)
    assert found.models.keys() == shipped.models.keys() | {"new"}
    assert found.models["mini-clip"].title == "Mine"
    assert found.datasets == shipped.datasets


def test_costs_come_from_one_file(both):
    assert load_costs(both) == load_costs(both[1])
    costs = yaml.safe_load((both[1] / "costs.yaml").read_text())
    costs["margin"] = 9
    (both[0] / "costs.yaml").write_text(yaml.safe_dump(costs))
    assert load_costs(both).margin == 9


def test_an_error_names_the_file_of_the_folder_that_it_is_in(both):
    (both[0] / "studies" / "mine.yaml").write_text("extends: example\ntitel: x\n")
    with pytest.raises(UserError, match=f"^{both[0]}/studies/mine.yaml: unknown key 'titel'"):
        load_study(both, "mine")
    with pytest.raises(UserError, match=r"unknown study 'exmple'; did you mean 'example'"):
        load_study(both, "exmple")
