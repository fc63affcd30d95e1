"""The tiny study with little in it, since here it runs from nothing twice."""

import pytest
import yaml

METHODS = ("retrain", "original", "negmerge")


@pytest.fixture(scope="session")
def checkout(checkout):
    """The workflow with one experiment, trial, table and figure in the tiny study."""
    path = checkout.folder / "config" / "studies" / "tiny.yaml"
    study = yaml.safe_load(path.read_text())
    resnet, table, figure = (study[key] for key in ("experiments", "tables", "figures"))
    resnet = resnet["resnet"] | {"trials": 1, "methods": {name: {} for name in METHODS}}
    rows = {name: table["gap"]["rows"][name] for name in METHODS}
    study["experiments"] = {"resnet": resnet}
    study["tables"] = {"gap": table["gap"] | {"rows": rows}}
    study["figures"] = {"gap": figure["gap"] | {"methods": rows}}
    path.write_text(yaml.safe_dump(study, sort_keys=False, default_flow_style=None))
    return checkout
