import json

import jsonschema
import pytest

from negmerge import plugins
from negmerge.cli import main
from negmerge.settings.load import load_yaml

ROOT = plugins.PACKAGE.parents[2]
STUDIES = sorted((ROOT / "config" / "studies").glob("*.yaml"))
ROWS = ("datasets", "models", "prompts")
SCHEMA = json.loads((ROOT / "config" / "studies" / "schema.json").read_text())


def test_the_schema_in_the_repository_is_the_library_s(capsys):
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == (ROOT / "config" / "studies" / "schema.json").read_text(), (
        "run: negmerge schema > config/studies/schema.json"
    )
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("rows", ROWS)
def test_the_schemas_of_rows_are_the_library_s_and_their_files_name_them(rows, capsys):
    assert main(["schema", rows]) == 0
    assert capsys.readouterr().out == (ROOT / "config" / "schemas" / f"{rows}.json").read_text(), (
        f"run: negmerge schema {rows} > config/schemas/{rows}.json"
    )
    first = (ROOT / "config" / f"{rows}.yaml").read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema=schemas/{rows}.json"


def test_rows_that_there_are_not_are_refused(capsys):
    assert main(["schema", "costs"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: unknown file of rows 'costs'")
    assert error.endswith("valid: datasets, models, prompts\n")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_is_valid(path):
    assert main(["check", path.stem, "--config", str(ROOT / "config")]) == 0
    jsonschema.Draft202012Validator(SCHEMA).validate(load_yaml(path))


def test_the_schema_refuses_what_the_library_refuses():
    study = load_yaml(ROOT / "config" / "studies" / "demo.yaml")
    for change in ({"tabels": {}}, {"seed": -1}, {"device": "gpu"}, {"experiments": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(study | change, SCHEMA)


def test_only_a_study_that_extends_another_may_leave_out_its_title():
    jsonschema.validate({"extends": "demo"}, SCHEMA)
    with pytest.raises(jsonschema.ValidationError, match="'title' is a required property"):
        jsonschema.validate({"experiments": {"one": {"model": "x"}}}, SCHEMA)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_names_its_schema_for_editors(path):
    first = path.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=schema.json"
