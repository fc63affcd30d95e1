"""The public functions are typed, and those at the top are found when they are first used."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib

import pytest

import negmerge
from negmerge import plugins

ROOT = plugins.PACKAGE.parents[2]
TOP = [name for name in negmerge.__all__ if not name.startswith("_")]
LISTED = re.findall(r"autofunction:: (\S+)", (ROOT / "docs" / "functions.md").read_text())


def test_all_that_the_page_lists_is_typed():
    assert {f"negmerge.{name}" for name in TOP} <= set(LISTED)
    for place in LISTED:
        module, _, name = place.rpartition(".")
        signature = inspect.signature(getattr(importlib.import_module(module), name))
        kinds = [p.annotation for p in signature.parameters.values()]
        assert inspect.Signature.empty not in (*kinds, signature.return_annotation), place


def test_tools_that_check_types_see_the_functions_at_the_top():
    tree = ast.parse((plugins.PACKAGE / "__init__.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: node.module for node in imports for alias in node.names}
    assert sorted(seen) == sorted(["TYPE_CHECKING", *TOP])
    for name in TOP:
        assert getattr(negmerge, name) is getattr(importlib.import_module(seen[name]), name)
    assert (plugins.PACKAGE / "py.typed").exists()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["negmerge"]


def test_the_package_is_there_before_torch_is():
    code = "import negmerge as n, sys; print('torch' in sys.modules, {*sys.argv[1:]} <= {*dir(n)})"
    command = [sys.executable, "-c", code, *TOP]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "False True\n"
    with pytest.raises(AttributeError, match="nothing"):
        negmerge.nothing  # noqa: B018
