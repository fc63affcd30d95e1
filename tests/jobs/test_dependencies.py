import graphlib
import importlib
import pkgutil
import re

import pytest

import negmerge
from negmerge import plugins
from negmerge.jobs.dependencies import code_digest, import_closure, imported

PACKAGE = plugins.PACKAGE


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def package(tmp_path):
    write(
        tmp_path,
        {
            "lib/__init__.py": "",
            "lib/plain.py": "import os\nimport library.other\n",
            "lib/name.py": "from lib.sub.inner import function as f\n",
            "lib/module.py": "from lib.sub import inner\n",
            "lib/dotted.py": "import lib.sub.inner as i, json\n",
            "lib/late.py": "def f():\n    if True:\n        import lib.plain\n",
            "lib/types.py": "if TYPE_CHECKING:\n    import lib.plain\n",
            "lib/circle.py": "import lib.square\n",
            "lib/square.py": "import lib.circle\n",
            "lib/sub/__init__.py": "from lib.sub import shared\n",
            "lib/sub/inner.py": "",
            "lib/sub/shared.py": "",
            "lib/sub/unused.py": "import lib.plain\n",
            "script.py": "import lib.late\n",
        },
    )
    return tmp_path / "lib"


SUB = {"sub/__init__.py", "sub/inner.py", "sub/shared.py"}


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("lib/plain.py", {"plain.py"}),
        ("lib/types.py", {"types.py"}),
        ("script.py", {"__init__.py", "late.py", "plain.py"}),
        ("lib/circle.py", {"__init__.py", "circle.py", "square.py"}),
        *((f"lib/{name}.py", {"__init__.py", f"{name}.py"} | SUB)
          for name in ("name", "module", "dotted")),
    ],
)  # fmt: skip
def test_closure(package, file, expected):
    found = import_closure(package.parent / file, package)
    assert {str(path.relative_to(package)) for path in found} == expected
    assert list(found) == sorted(found)


def test_the_digest_changes_with_what_is_reached_and_with_nothing_else(package):
    def digest():
        import_closure.cache_clear()
        return code_digest([package.parent / "script.py"], package)

    before = digest()
    write(package.parent, {"lib/unused.py": "", "lib/sub/unused.py": ""})
    (package / "plain.py").touch()
    assert digest() == before
    write(package.parent, {"lib/plain.py": "import os\nimport library.other\n\n"})
    after = digest()
    write(package.parent, {"script.py": "import lib.late\n\n"})
    assert len({before, after, digest()}) == 3


def closure(name):
    paths = import_closure(PACKAGE.parent / f"{name}.py", PACKAGE)
    return {path.relative_to(PACKAGE).as_posix() for path in paths}


def test_a_change_of_a_table_or_a_method_retrains_nothing():
    for script in ("base", "finetune", "prepare", "head"):
        assert not {path for path in closure(script) if path.startswith("reporting/")}
        assert not {path for path in closure(script) if path.startswith("merging/")}
    assert not {
        path for path in closure("prepare") if path.startswith(("data/sources/", "settings/"))
    }
    assert not {path for path in closure("finetune") if path.startswith("data/sources/")}
    # Which methods there are decides no vector, and the engine of merges no training.
    for script in ("finetune", "merge", "greedy", "sweep", "vector"):
        assert "settings/methods.py" not in closure(script), script
    assert not {path for path in closure("unlearn") if path.startswith("merging/")}
    # One method's file is an input of that method's merge only.
    assert not {path for path in closure("merge") if path.startswith("merging/methods/")}
    # A study's own vectors are plain safetensors: a merge of them reaches no reader of others.
    foreign = ("adapters/", "standalone/", "checkpoints/opening.py", "checkpoints/gguf.py")
    foreign += ("checkpoints/hub.py", "checkpoints/torch_files.py", "checkpoints/released.py")
    for script in ("merge", "signs", "sparsity"):
        assert not {path for path in closure(script) if path.startswith(foreign)}, script
    # What a study may say of a scenario is not what its jobs depend on, but what they are given.
    jobs = import_closure(plugins.path(plugins.SCENARIO_JOBS, "classifier"), PACKAGE)
    reached = {path.relative_to(PACKAGE).as_posix() for path in jobs}
    assert {"scenarios/classifier/jobs.py", "evaluation/membership.py"} <= reached
    assert not reached & {"settings/experiment.py", "scenarios/classifier/settings.py"}
    assert not {path for path in reached if path.startswith("scenarios/zero_shot/")}
    assert "training.py" in closure("finetune")
    assert "vectors.py" in closure("merge")


def test_no_module_imports_in_a_way_that_the_closure_cannot_see():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*from \.", text, re.MULTILINE), path
        by_name = path.relative_to(PACKAGE).as_posix() in (
            "plugins.py",
            "__init__.py",
            "merging/__init__.py",
        )
        assert by_name or "import_module" not in text, path


# Nothing imports what stands to its right. A study joins scenarios with tables and figures.
ORDER = (
    (
        "errors",
        "curves",
        "files",
        "log_lines",
        "seeds",
        "plugins",
        "checkpoints.__init__",
        "checkpoints.divergence",
        "jobs.__init__",
        "jobs.dependencies",
        "data.__init__",
        "data.splits",
        "data.archives",
        "data.image_lists",
        "data.questions",
        "data.sources",
        "settings.__init__",
        "settings.recipe",
    ),
    ("settings",),
    ("checkpoints", "vectors", "models.devices"),
    ("data", "models"),
    ("training", "merging", "unlearning", "selection", "evaluation", "adapters"),
    ("scenarios",),
    (
        "__init__",
        "paths",
        "settings.study",
        "settings.tables",
        "jobs",
        "reporting",
        "pack",
        "standalone",
        "commands",
        "cli",
    ),
)


def test_imports_go_one_way():
    graph = {path: imports_outside_its_packages(path) for path in sorted(PACKAGE.rglob("*.py"))}
    wrong = [
        f"{part_of(path)} imports {part_of(other)}"
        for path, others in graph.items()
        for other in others
        if level_of(path) < level_of(other)
    ]
    assert wrong == []
    graphlib.TopologicalSorter(graph).prepare()  # raises where there is a circle


def imports_outside_its_packages(path):
    """List what a module imports, but for the packages in which it lies."""
    found = imported(path, PACKAGE)
    return [p for p in found if p.name != "__init__.py" or not path.is_relative_to(p.parent)]


def level_of(path):
    """Return the place in the order of the nearest part that is listed there."""
    levels = {name: number for number, names in enumerate(ORDER) for name in names}
    part = part_of(path)
    while part not in levels:
        assert part, f"{part_of(path)} has no place in ORDER"
        part = part.rpartition(".")[0]
    return levels[part]


def part_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def test_every_module_can_be_imported_on_its_own():
    for module in pkgutil.walk_packages(negmerge.__path__, "negmerge."):
        importlib.import_module(module.name)
