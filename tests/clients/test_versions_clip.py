"""CLIP's folders, whose names differ between transformers 4 and 5, are read by both."""

import subprocess
import sys
from pathlib import Path

import pools
import pytest
import small_models
import torch

OLD = Path(sys.prefix).parent / "transformers4" / "bin" / "python"
PREPARE = "small_models.prepare(folder, name)"
LOAD = """
model = small_models.load(type(small_models.MODELS[name][0]()), folder / "out")
small_models.torch.save(small_models.outputs(model, 99), folder / "outputs.pt")
"""


def run_old(code, folder, name):
    """Run code with transformers 4."""
    start = "import sys, small_models; folder, name = small_models.Path(sys.argv[1]), sys.argv[2]\n"
    command = [str(OLD), "-c", start + code, str(folder), name]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["clip", "clip-vision"])
def test_a_base_of_4_that_5_has_fine_tuned_is_read_by_both(tmp_path, name):
    run_old(PREPARE, tmp_path, name)
    build, saved = small_models.MODELS[name]
    base = small_models.load(type(build()), tmp_path / "base")
    pool = pools.fine_tuned(base, small_models.outputs)
    for number, model in enumerate(pool):
        model.save_pretrained(tmp_path / f"pool-{number}", **saved)
    pools.run(tmp_path)
    expected = pools.forget(base, pool)
    loaded = small_models.load(type(base), tmp_path / "out")
    pools.compare(small_models.outputs, loaded, expected, base)
    run_old(LOAD, tmp_path, name)
    outputs = torch.load(tmp_path / "outputs.pt", weights_only=True)
    assert torch.allclose(small_models.outputs(expected, 99), outputs, atol=1e-5)
