"""Nothing runs a shell on values of a configuration, and nothing unpickles foreign files."""

import ast

import pytest
from workflow_text import SCRIPTS, TARGETS, rules

FILES = sorted(path for path in SCRIPTS.rglob("*.py"))
# Calls that run text as code or as a shell's command, or that build any object a file asks for.
FORBIDDEN = {
    "eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
    "pickle.load", "pickle.loads", "torch.load", "np.load", "numpy.load", "joblib.load",
    "yaml.unsafe_load", "yaml.full_load",
}  # fmt: skip


def findings(text):
    """List the calls in a program that are forbidden."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {option.arg: ast.unparse(option.value) for option in node.keywords}
        is_safe_loading = name == "torch.load" and options.get("weights_only") == "True"
        loader = ast.unparse(node.args[1]) if name == "yaml.load" and node.args[1:] else None
        if (
            (name in FORBIDDEN and not is_safe_loading)
            or options.get("shell", "False") != "False"
            or options.get("allow_pickle", "False") != "False"
            or options.get("weights_only", "True") != "True"
            or (name == "yaml.load" and (loader or options.get("Loader")) != "_UniqueKeys")
            or name.endswith((".extractall", ".extract"))
        ):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize(
    "text",
    [
        "os.system(f'rm {name}')",
        "subprocess.run(line, shell=True)",
        "torch.load(path)",
        "yaml.load(text, Loader=yaml.Loader)",
    ],
)
def test_unsafe_calls_are_seen(text):
    assert findings(text)


def test_no_program_of_the_workflow_makes_an_unsafe_call():
    assert len(FILES) > 100
    assert {path.name: found for path in FILES if (found := findings(path.read_text()))} == {}


def test_every_rule_runs_a_script_and_none_a_shell():
    found = rules()
    assert len(found) > 15
    for name, directives in found.items():
        assert not {"shell", "run", "notebook", "wrapper", "cwl"} & directives.keys(), name
        assert "script" in directives or name in TARGETS, name
