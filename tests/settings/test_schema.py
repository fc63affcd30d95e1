"""The schemas by which editors complete settings: `make` writes them, and files name them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from negmerge import plugins
from negmerge.cli import main
from negmerge.settings.load import load_yaml

CONFIG = plugins.PACKAGE.parents[2] / "config"
STUDIES = sorted((CONFIG / "studies").glob("*.yaml"))


@pytest.fixture
def schema(capsys):
    """The schema of studies."""
    assert main(["schema"]) == 0
    return json.loads(capsys.readouterr().out)


def test_make_writes_the_schemas_that_files_name_and_fit(checkout, tmp_path):
    folder = checkout.copy(tmp_path / "workflow").folder
    named = {}
    for path in sorted((folder / "config").glob("**/*.yaml")):
        if found := re.match(r"# yaml-language-server: \$schema=(.+)\n", path.read_text()):
            named[path] = Path(os.path.relpath(path.parent / found[1], folder))
    targets = set(map(str, named.values()))
    editor = json.loads((folder / ".vscode" / "settings.json").read_text())["yaml.schemas"]
    assert set(editor) == targets
    assert {one.name for one in STUDIES} <= {path.name for path in named}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "-o", ".venv/.ready", f"BIN={Path(sys.executable).parent}", *targets]
    subprocess.run(command, cwd=folder, env=kept, check=True)
    for path, place in named.items():
        content = json.loads((folder / place).read_text())
        jsonschema.Draft202012Validator.check_schema(content)
        jsonschema.validate(load_yaml(path), content)


def test_the_schema_refuses_what_the_library_refuses(schema):
    study = load_yaml(CONFIG / "studies" / "demo.yaml")
    for change in ({"tabels": {}}, {"seed": -1}, {"device": "gpu"}, {"experiments": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(study | change, schema)


def test_only_a_study_that_extends_another_may_leave_out_its_title(schema):
    jsonschema.validate({"extends": "demo"}, schema)
    with pytest.raises(jsonschema.ValidationError, match="'title' is a required property"):
        jsonschema.validate({"experiments": {"one": {"model": "x"}}}, schema)
