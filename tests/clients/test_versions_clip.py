"""CLIP's folders, whose names differ between transformers 4 and 5, are read by both."""

import subprocess
import sys
from pathlib import Path

import pools
import pytest
import small_models
import torch

OLD = Path(sys.prefix).parent / "transformers4" / "bin" / "python"
PREPARE = """
import sys, torch, small_models
base, expected = small_models.prepare(small_models.Path(sys.argv[1]), sys.argv[2])
torch.save(small_models.MODELS[sys.argv[2]][1](expected, 99), sys.argv[1] + "/outputs.pt")
"""
LOAD = """
import sys, torch, small_models
build, outputs, _ = small_models.MODELS[sys.argv[2]]
model = small_models.load(type(build()), sys.argv[1] + "/out")
torch.save(outputs(model, 99), sys.argv[1] + "/outputs.pt")
"""


def old(code, folder, name):
    """Run a program with transformers 4, and return the outputs that it has written."""
    command = [str(OLD), "-c", code, str(folder), name]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return torch.load(folder / "outputs.pt", weights_only=True)


@pytest.mark.parametrize("name", ["clip", "clip-vision"])
def test_a_base_of_4_that_5_has_fine_tuned_is_read_by_both(tmp_path, name):
    old(PREPARE, tmp_path, name)
    build, outputs, saved = small_models.MODELS[name]
    base = small_models.load(type(build()), tmp_path / "base")
    pool = pools.fine_tuned(base, pools.loss_of(outputs))
    for number, model in enumerate(pool):
        model.save_pretrained(tmp_path / f"pool-{number}", **saved)
    pools.run(tmp_path, "base")
    expected = pools.forget(base, pool)
    pools.compare(outputs, small_models.load(type(base), tmp_path / "out"), expected, base)
    assert torch.allclose(outputs(expected, 99), old(LOAD, tmp_path, name), atol=1e-5)
