"""The functions at the top of the package: found when they are first used, and typed."""

import ast
import inspect
import subprocess
import sys
import tomllib

import pytest

import negmerge
from negmerge import plugins

FUNCTIONS = [name for name in negmerge.__all__ if not name.startswith("_")]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_typed(name):
    signature = inspect.signature(getattr(negmerge, name))
    kinds = [*(p.annotation for p in signature.parameters.values()), signature.return_annotation]
    assert inspect.Signature.empty not in kinds


def test_tools_that_check_types_see_the_same_functions():
    tree = ast.parse((plugins.PACKAGE / "__init__.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: node.module for node in imports for alias in node.names}
    del seen["TYPE_CHECKING"]
    assert sorted(seen) == sorted(FUNCTIONS)
    for name, module in seen.items():
        assert getattr(negmerge, name) is getattr(sys.modules[module], name)
    assert (plugins.PACKAGE / "py.typed").exists()
    project = tomllib.loads((plugins.PACKAGE.parents[2] / "pyproject.toml").read_text())
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["negmerge"]


def test_the_package_is_there_before_torch_is():
    code = "import negmerge as n, sys; print('torch' in sys.modules, {*sys.argv[1:]} <= {*dir(n)})"
    command = [sys.executable, "-c", code, *FUNCTIONS]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "False True\n"
    with pytest.raises(AttributeError, match="nothing"):
        negmerge.nothing  # noqa: B018
