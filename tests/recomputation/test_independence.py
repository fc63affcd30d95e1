"""The recomputation by itself: its formulas against those of the authors, and what it imports."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recomputation import vectors


@pytest.mark.parametrize(
    ("name", "k"),
    [("ties_f32_k2_d60", 20), ("ties_edge_k3_d10", 50), ("ties_zero_majority_k2_d5", 99)],
)
def test_ties_written_anew_is_that_of_its_authors(golden, name, k):
    file = golden(name)
    results = [key for key in file.arrays.files if key.startswith(f"K{k}/dis-")]
    assert results
    for key in results:
        merged = vectors.ties(file["tv"], density=k / 100, reduce=key.partition("/dis-")[2])
        assert np.array_equal(merged, file[key])


def test_magmax_and_negmerge_written_anew_are_those_of_their_authors(golden):
    file = golden("magmax_f32_k4")
    for name, value in file.state("merged").items():
        pool = np.stack([state[name].numpy() for state in file.states("tv")])
        assert np.array_equal(vectors.magmax(pool), value.numpy())
    file = golden("negmerge_f32_k2")
    for name, value in file.state("merged").items():
        pool = np.stack([file[f"theta{n}/{name}"] - file[f"theta0/{name}"] for n in (1, 2)])
        assert np.array_equal(vectors.negmerge(pool, "mean"), value.numpy())


def test_other_operations_of_negmerge():
    pool = np.array([[1, -1, 2], [4, -8, -2], [5, -2, 2]], np.float32)
    expected = {"sum": [10, -11, 0], "largest": [5, -8, 0], "smallest": [1, -1, 0]}
    for operation, numbers in (expected | {"median": [4, -2, 0]}).items():
        assert vectors.negmerge(pool, operation).tolist() == numbers


def test_nothing_of_the_project_is_imported():
    tests = Path(__file__).parents[1]
    code = "import sys, recomputation; print({'negmerge', 'torch', 'snakemake'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=tests, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
    # scikit-learn imports pandas where there is one, the recomputation does not.
    own = (path for path in tests.glob("recomputation/*.py") if not path.stem.startswith("test_"))
    lines = "\n".join(path.read_text() for path in own)
    imported = set(re.findall(r"^(?:from|import) (\w+)", lines, re.M)) - sys.stdlib_module_names
    assert imported == {"numpy", "recomputation", "safetensors", "sklearn"}
