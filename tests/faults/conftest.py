"""The tiny study with less in it, since here it runs from nothing twice."""

import pytest
import yaml

METHODS = {
    "clip": ("pretrained", "greedy", "negmerge"),
    "resnet": ("retrain", "original", "boundary-expand", "negmerge"),
}
TABLES = {"accuracy": "clip", "gap": "resnet"}


@pytest.fixture(scope="session")
def checkout(checkout):
    """The workflow with one trial, few methods, two tables and a figure in the tiny study."""
    path = checkout.folder / "config" / "studies" / "tiny.yaml"
    study = yaml.safe_load(path.read_text())
    study["experiments"]["resnet"]["trials"] = 1
    for name, experiment in study["experiments"].items():
        experiment["methods"] = {method: experiment["methods"][method] for method in METHODS[name]}
    study["tables"] = {name: study["tables"][name] for name in TABLES}
    study["figures"] = {"gap": study["figures"]["gap"]}
    for name, table in study["tables"].items():
        table["rows"] = {method: table["rows"][method] for method in METHODS[TABLES[name]]}
    shown = study["tables"]["gap"]["rows"]
    study["figures"]["gap"]["methods"] = shown
    path.write_text(yaml.safe_dump(study, sort_keys=False, default_flow_style=None))
    return checkout
