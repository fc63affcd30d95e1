"""The conda environments hold what their rules import, in the versions of constraints.txt."""

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from workflow_text import PACKAGE, ROOT, TARGETS, imports, reached, rules, text_of

ENVS = sorted(path.stem for path in (ROOT / "envs").glob("*.yaml"))
# Where conda's name is not that of the Python package index.
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
# What the rules of an environment choose by name, beside what their scripts import.
CHOICES = {
    "data": ("data/sources",),
    "language": ("scenarios", "scenarios/language/jobs.py", "unlearning/methods"),
    "merging": ("merging/methods",),
    "models": ("scenarios", "unlearning/methods"),
    "reporting": ("reporting/tables", "reporting/figures"),
}
# splits.py imports torch and evaluation/membership.py scikit-learn, in functions that no rule
# of these environments calls; nor does a rule open a model of the hub or a GGUF file.
NOT_CALLED = {
    "data": {"torch"},
    "merging": {"open-clip-torch", "scikit-learn"},
    # Rules that serve all scenarios reach what images need.
    "language": {
        "gguf",
        "huggingface-hub",
        "open-clip-torch",
        "scikit-learn",
        "timm",
        "torchvision",
    },
    # Methods for language models reach the metrics of these.
    "models": {
        "gguf",
        "huggingface-hub",
        "peft",
        "rouge-score",
        "scipy",
        "tokenizers",
        "transformers",
    },
    "reporting": {"rouge-score", "scikit-learn"},
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RANGES = {
    canonicalize_name(requirement.name): requirement.specifier
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for requirement in map(Requirement, group)
}
LOCKED = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
}


def load(env):
    return yaml.safe_load((ROOT / "envs" / f"{env}.yaml").read_text())


def pins(env):
    """Return name -> version of an environment, under the names of the Python package index."""
    found = {}
    for entry in load(env)["dependencies"]:
        name, version = re.fullmatch(r"([a-z0-9-]+)=([0-9][\w.]*)", entry).groups()
        found[CONDA_NAMES.get(name, name)] = version
    return found


def rules_of(env):
    """List the rules that run in an environment."""
    return [rule for rule in rules().values() if f'"../envs/{env}.yaml"' in rule.get("conda", "")]


def scripts_of(env):
    """List the scripts of an environment's rules."""
    return [(ROOT / "rules" / text_of(rule["script"])).resolve() for rule in rules_of(env)]


def files_of(env):
    """List the Python files that the rules of an environment run."""
    chosen = [
        file
        for place in map(PACKAGE.joinpath, CHOICES[env])
        for file in ([place] if place.suffix else place.glob("*.py"))
    ]
    return scripts_of(env) + chosen


def distributions(modules):
    """Turn names of modules into the names under which they are installed."""
    homes = packages_distributions()
    heads = {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names)
    # pydantic comes with its core, and mlflow is installed by those who ask for it.
    heads -= {PACKAGE.name, "pydantic_core", "mlflow"}
    return {canonicalize_name(homes[head][0]) for head in heads}


@pytest.mark.parametrize("env", ENVS)
def test_an_environment_comes_from_conda_forge_and_is_used(env):
    content = load(env)
    assert set(content) == {"channels", "dependencies"}
    assert content["channels"] == ["conda-forge", "nodefaults"]
    assert rules_of(env)


@pytest.mark.parametrize("env", ENVS)
def test_the_pins_are_those_of_the_constraints_and_within_the_ranges(env):
    found = pins(env)
    assert found.pop("python") in SpecifierSet(PROJECT["requires-python"])
    for name, version in found.items():
        assert version == LOCKED[name], name
        assert version in RANGES[name], name


@pytest.mark.parametrize("env", ENVS)
def test_an_environment_holds_what_its_rules_import_and_no_more(env):
    found = set(pins(env)) - {"python"}
    at_start = distributions(reached(files_of(env), in_functions=False))
    ever = distributions(reached(files_of(env)))
    assert at_start <= found
    assert ever - NOT_CALLED.get(env, set()) == found


def test_a_rule_that_builds_the_scenario_s_model_has_the_environment_of_its_scenario():
    builds = "negmerge.scenarios.load_task"
    for name, rule in rules().items():
        if name in TARGETS:
            continue
        script = (ROOT / "rules" / text_of(rule["script"])).resolve()
        is_for_all = builds in imports(script)
        # Grad-CAM is of images.
        own = 'language="../envs/language.yaml"' in rule["conda"]
        assert own == (is_for_all and name != "gradcam"), name


def test_the_constraints_pin_every_dependency_within_its_range():
    for name, ranges in RANGES.items():
        assert LOCKED[name] in ranges, name
