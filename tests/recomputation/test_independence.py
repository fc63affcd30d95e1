"""The recomputation by itself: its formulas against those of the authors, and what it imports."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from negmerge.evaluation.membership import images_to_learn_from
from recomputation import merges
from recomputation.scores import drawn


@pytest.mark.parametrize(
    ("name", "k"),
    [
        ("ties_f32_k2_d60", 20),
        ("ties_f32_k2_d60", 80),
        ("ties_edge_k3_d10", 50),
        ("ties_zero_majority_k2_d5", 99),
    ],
)
def test_ties_written_anew_is_that_of_its_authors(golden, name, k):
    file = golden(name)
    results = [key for key in file.arrays.files if key.startswith(f"K{k}/dis-")]
    assert results
    for key in results:
        found = merges.ties(file["tv"], density=k / 100, reduce=key.partition("/dis-")[2])
        assert np.array_equal(found, file[key])


def test_magmax_written_anew_is_that_of_its_authors(golden):
    file = golden("magmax_f32_k4")
    names = [name for name in file.arrays.files if name.startswith("tv0/")]
    for name in (name.removeprefix("tv0/") for name in names):
        pool = np.stack([file[f"tv{number}/{name}"] for number in range(4)])
        assert np.array_equal(merges.magmax(pool), file[f"merged/{name}"])


def test_negmerge_written_anew_is_that_of_its_authors(golden):
    file = golden("negmerge_f32_k2")
    for name, value in file.state("merged").items():
        base = file[f"theta0/{name}"]
        pool = np.stack([file[f"theta{number}/{name}"] - base for number in (1, 2)])
        assert np.array_equal(merges.negmerge(pool, "mean"), value.numpy())


def test_other_operations_of_negmerge():
    pool = np.array([[1, -1, 2], [4, -8, -2], [5, -2, 2]], np.float32)
    expected = {"sum": [10, -11, 0], "largest": [5, -8, 0], "smallest": [1, -1, 0]}
    for operation, numbers in (expected | {"median": [4, -2, 0]}).items():
        assert merges.negmerge(pool, operation).tolist() == numbers


@pytest.mark.parametrize("seed", [0, 7])
def test_the_draw_of_test_images_is_that_of_the_attack(seed):
    assert np.array_equal(drawn(30, 12, seed), images_to_learn_from(12, 30, seed)[1])


def test_nothing_of_the_project_is_imported():
    tests = Path(__file__).parents[1]
    code = (
        "import sys, recomputation.checks\n"
        "print({'negmerge', 'torch', 'snakemake'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=tests, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
    # scikit-learn imports pandas where there is one, the recomputation does not.
    own = (path for path in tests.glob("recomputation/*.py") if not path.stem.startswith("test_"))
    lines = "\n".join(path.read_text() for path in own if path.stem != "conftest")
    imported = set(re.findall(r"^(?:from|import) (\w+)", lines, re.M)) - sys.stdlib_module_names
    assert imported == {"numpy", "recomputation", "safetensors", "sklearn"}
