"""The examples of the how-to pages work as they are written there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from workflow_text import PACKAGE, ROOT

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c63600000000200014873a4870000000049454e44ae426082"
)


def blocks(page, language):
    """Take the code blocks of one language out of a page."""
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


@pytest.fixture
def library(tmp_path):
    """Copy the library, so that an example can be put into it."""
    shutil.copytree(PACKAGE, tmp_path / "negmerge", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(library, *arguments):
    """Run Python with the copy of the library before all others."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=library,
        env={"PYTHONPATH": str(library)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def put_median(library):
    """Put the example of the page on merge methods into a copy of the library; return its test."""
    options, method, test = blocks("docs/add-a-merge-method.md", "python")
    (library / "negmerge/settings/merge_options/median.py").write_text(options)
    (library / "negmerge/merging/methods/median.py").write_text(method)
    return test


def test_the_merge_method_passes_its_own_test(library):
    (library / "test_median.py").write_text(put_median(library))
    out = run(library, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_median.py")
    assert "2 passed" in out


@pytest.fixture
def add(library, change_yaml):
    """A function that puts methods and rows into the copy of the demo's study, as a page says."""
    shutil.copytree(ROOT / "config", library / "config")
    study = library / "config" / "studies" / "demo.yaml"

    def put(experiment, table, methods, rows):
        for name, use in yaml.safe_load(methods)["methods"].items():
            change_yaml(study, f"experiments/{experiment}/methods/{name}", use)
        change_yaml(study, f"tables/{table}/rows", yaml.safe_load(rows)["rows"])

    return put


def test_a_study_may_name_the_merge_method(library, add):
    put_median(library)
    add("mini-clip", "table1", *blocks("docs/add-a-merge-method.md", "yaml"))
    check = (
        "from negmerge.cli import main;"
        "from negmerge.settings.study import load_study;"
        "print(load_study('config', 'demo').tables['table1'].rows['median']);"
        "main(['methods'])"
    )
    printed = run(library, "-c", check)
    assert printed.startswith("Median\n")
    assert "median: Median\n    Median: the middle value" in printed


UNLEARN_PAGE = "docs/add-an-unlearn-method.md"


@pytest.fixture
def with_cf_last(library):
    """Put the example of the page on unlearn methods into a copy of the library."""
    options, method, test = blocks(UNLEARN_PAGE, "python")
    (library / "negmerge/settings/unlearn_options/cf_last.py").write_text(options)
    (library / "negmerge/unlearning/methods/cf_last.py").write_text(method)
    (library / "test_cf_last.py").write_text(test)
    return library


def test_the_unlearn_method_passes_its_own_test(with_cf_last):
    out = run(with_cf_last, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_cf_last.py")
    assert "2 passed" in out


def test_a_study_may_name_the_unlearn_method_whose_defaults_say_where_they_are_from(
    with_cf_last, add
):
    line, row, search = blocks(UNLEARN_PAGE, "yaml")
    # A further use of the method stands below the first.
    add("mini-resnet", "table2", line + search, row + "      retrain: Retrain\n")
    check = """
from negmerge.settings.study import load_study
from negmerge.unlearning import METHODS
method = METHODS["cf-last"]
for field in method.options.model_fields.values():
    assert "choice" in field.description
print(method.check("cf-last", {}).data_used)
study = load_study("config", "demo")
experiment = study.experiments["mini-resnet"]
print(study.tables["table2"].rows["cf-last"])
print(experiment.methods["cf-last-search"].grid, experiment.is_searched("cf-last-search"))
"""
    assert run(with_cf_last, "-c", check).splitlines() == [
        "retain",
        "Last layer only",
        "{'learning_rate': [0.01, 0.03, 0.1]} True",
    ]


TABLE_PAGE = "docs/add-a-table-or-figure.md"


@pytest.fixture
def with_search(library):
    """Put the example of the page on tables into a copy of the library."""
    kind, test = blocks(TABLE_PAGE, "python")
    (library / "negmerge/reporting/tables/search.py").write_text(kind)
    (library / "test_search.py").write_text(test)
    return library


def test_the_kind_of_table_passes_its_own_test(with_search):
    out = run(with_search, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_search.py")
    assert "1 passed" in out


def test_a_study_may_have_a_table_of_the_new_kind(with_search):
    shutil.copytree(ROOT / "config", with_search / "config")
    study = with_search / "config" / "studies" / "demo.yaml"
    (table,) = blocks(TABLE_PAGE, "yaml")
    text = study.read_text()
    assert text.count("\ntables:\n") == 1
    study.write_text(text.replace("\ntables:\n", f"\n{table}\n"))
    check = """
from negmerge import artefacts
from negmerge.settings.study import load_study
study = load_study("config", "demo")
print(artefacts.table_records(study, study.tables["search"])["records"][-1])
print(study.tables["search"].rows["negmerge"])
print("search: How much was tried" in type(study.tables["search"]).model_fields["kind"].description)
"""
    assert run(with_search, "-c", check).splitlines() == [
        "mini-clip/digits/selected/negmerge.json", "NegMerge", "True"
    ]  # fmt: skip


def test_a_source_of_ones_own_is_prepared(library):
    (source,) = blocks("docs/add-a-data-set.md", "python")
    (library / "negmerge/data/sources/class_folders.py").write_text(source)
    row = yaml.safe_load(blocks("docs/add-a-data-set.md", "yaml")[-1])["pets"]
    row |= {"files": {"train": "train", "test": "test"}, "splits": {"train": 3, "test": 2}}
    for place in ("train/cat/1", "train/cat/2", "train/dog/1", "test/cat/1", "test/dog/1"):
        file = library / f"{place}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(PNG)
    prepare = f"""
from negmerge import plugins
from negmerge.settings.datasets import Dataset
from negmerge.data.images import Images, write_images
row = Dataset.model_validate({row!r}).model_dump()
read = plugins.load(plugins.SOURCES, row["source"]).read
write_images("images.safetensors", read(row["files"], row), row["splits"], row["classes"])
train = Images("images.safetensors", "train")
print(train.labels.tolist(), train[0].size)
"""
    assert run(library, "-c", prepare) == "[0, 0, 1] (1, 1)\n"


def test_the_rows_of_the_data_sets_are_valid(library):
    (library / "negmerge/data/sources/class_folders.py").write_text(
        blocks("docs/add-a-data-set.md", "python")[0]
    )
    found = blocks("docs/add-a-data-set.md", "yaml")
    rows, prompts, mirrors, pets = map(yaml.safe_load, found)
    cars = yaml.safe_load((ROOT / "config" / "datasets.yaml").read_text())["cars"]
    assert mirrors["mirrors"] == cars["mirrors"][:1]
    check = f"""
from negmerge.settings.catalogue import Prompts
from negmerge.settings.datasets import Dataset
for row in {[*rows.values(), *pets.values()]!r}:
    Dataset.model_validate(row)
Prompts.model_validate({prompts["mnist"]!r})
"""
    run(library, "-c", check)


CHECKPOINTS_PAGE = "docs/your-own-checkpoints.md"


# What a reader may call a model that forgets more of `forget` the smaller its first weight is.
EVALUATION = """
import json, sys
from safetensors.torch import load_file
weights = load_file(sys.argv[1])["w"].tolist()
print(json.dumps({"forget": weights[0], "control": 1.0 - 0.02 * abs(1.0 - weights[0])}))
"""
PLACES = {"BASE": "base.safetensors", "POOL...": "pool/*.safetensors", "OUT": "out.safetensors"}


@pytest.mark.parametrize(("page", "count"), [("README.md", 2), (CHECKPOINTS_PAGE, 3)])
def test_the_commands_for_ones_own_checkpoints_work_on_files(page, count, tmp_path):
    (tmp_path / "pool").mkdir()
    save_file({"w": torch.tensor([1.0, 1.0])}, tmp_path / "base.safetensors")
    for number, values in enumerate(([2.0, 0.0], [4.0, 2.0])):
        save_file({"w": torch.tensor(values)}, tmp_path / "pool" / f"{number}.safetensors")
    (tmp_path / "my_eval.py").write_text(EVALUATION)
    lines = re.findall(r"^ {4}(negmerge .*)$", (ROOT / page).read_text(), re.M)
    commands = [line for line in lines if line.split()[1] in ("unlearn", "inspect")]
    commands = [line for line in commands if "BASE" in line]
    assert len(commands) == count
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    chosen = []
    for command in commands:
        for name, place in PLACES.items():
            command = re.sub(rf"(?<!\S){re.escape(name)}(?!\S)", place, command)
        done = subprocess.run(command, shell=True, cwd=tmp_path, env={"PATH": path}, check=False)
        assert done.returncode == 0, command
        if "unlearn" in command:
            chosen.append(load_file(tmp_path / "out.safetensors")["w"].tolist())
            (tmp_path / "out.safetensors").unlink()
    assert chosen == [pytest.approx([1 - 0.9 * 2, 1.0]), pytest.approx([1 - 1.0 * 2, 1.0])]


def test_the_lines_of_python_do_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base, *pool = ({"w": torch.tensor(values)} for values in ([1.0, 1.0], [2.0, 0.0], [4.0, 2.0]))
    for place, state in zip(("base", "pool/1", "pool/2"), (base, *pool), strict=True):
        Path(place).parent.mkdir(exist_ok=True)
        save_file(state, place)
    model = torch.nn.Module()
    model.w = torch.nn.Parameter(base["w"].clone())

    def evaluate(moved):
        return {"forget": float(moved.w[0]), "control": 1.0}

    names = {"base": base, "pool": pool, "model": model, "evaluate": evaluate}
    for code in blocks(CHECKPOINTS_PAGE, "python"):
        exec(code, names)
    assert torch.allclose(load_file("unlearned")["w"], torch.tensor([1 - 0.9 * 2, 1.0]))
    assert names["choice"].coefficient == 1
    assert torch.allclose(model.w, torch.tensor([1 - 1.0 * 2, 1.0]))
