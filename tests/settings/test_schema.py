import json

import jsonschema
import pytest
import yaml

from negmerge import plugins
from negmerge.cli import main

ROOT = plugins.PACKAGE.parents[2]
STUDIES = sorted((ROOT / "config" / "studies").glob("*.yaml"))
SCHEMA = json.loads((ROOT / "config" / "studies" / "schema.json").read_text())


def test_the_schema_in_the_repository_is_the_library_s(capsys):
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == (ROOT / "config" / "studies" / "schema.json").read_text(), (
        "run: negmerge schema > config/studies/schema.json"
    )
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_is_valid(path):
    assert main(["check", path.stem, "--config", str(ROOT / "config")]) == 0
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(path.read_text()))


def test_the_schema_refuses_what_the_library_refuses():
    study = yaml.safe_load(STUDIES[0].read_text())
    for change in ({"tabels": {}}, {"seed": -1}, {"device": "gpu"}, {"experiments": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(study | change, SCHEMA)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_names_its_schema_for_editors(path):
    first = path.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=schema.json"
