"""mergekit's linear and TIES merges of the same folders agree with ours, up to rounding.

`linear` is the mean of the models, and so the base plus the mean vector: `uniform` at coefficient
-1, since a vector is subtracted. `ties` has one definition in both where nothing is trimmed.
mergekit trims each tensor on its own and keeps int(n * density) numbers; here one threshold is
found for a whole model, and the numbers that are equal to it are kept as well, one more. So
trimming is compared on models of one tensor, with the density that keeps one more.
"""

import json
import subprocess
import sys
from pathlib import Path

import pools
import pytest
import small_models
import torch
from safetensors.torch import load_file, save_file

NUMBERS = 3000


def mergekit(program, folder, method, suffix="", **options):
    """Merge by mergekit; JSON is YAML."""
    members = [str(folder / f"pool-{number}{suffix}") for number in range(len(pools.RATES))]
    config = {
        "merge_method": method,
        "models": [{"model": member, "parameters": options} for member in members],
        "dtype": "float32",
    }
    if method == "ties":
        config["base_model"] = str(folder / f"base{suffix}")
    (folder / "config.yaml").write_text(json.dumps(config))
    command = [Path(sys.executable).parent / program, folder / "config.yaml", folder / "theirs"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def read(place):
    """Return all tensors of a folder or file."""
    files = sorted(place.glob("*.safetensors")) if place.is_dir() else [place]
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def require_near(ours, theirs):
    """Check that two merges agree up to rounding."""
    merged, expected = read(ours), read(theirs)
    assert merged.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(merged[name], tensor, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("linear", ["--method", "uniform"]), ("ties", ["--method", "ties", "--option", "density=1"])],
)
def test_a_merge_of_folders_is_ours(tmp_path, theirs, ours):
    base, _ = small_models.prepare(tmp_path, "llama")
    pools.run(tmp_path, *ours, c=-1)
    mergekit("mergekit-yaml", tmp_path, theirs, weight=1.0)
    require_near(tmp_path / "out", tmp_path / "theirs")
    head = read(tmp_path / "out")["lm_head.weight"]
    assert not torch.equal(head, base.state_dict()["lm_head.weight"])


def test_ties_trims_one_tensor_as_mergekit_does(tmp_path):
    torch.manual_seed(0)
    base = torch.randn(NUMBERS)
    save_file({"w": base}, tmp_path / "base.safetensors", metadata={"format": "pt"})
    for number in range(len(pools.RATES)):
        state = {"w": base + 0.1 * torch.randn(NUMBERS)}
        save_file(state, tmp_path / f"pool-{number}.safetensors", metadata={"format": "pt"})
    options = ["--method", "ties", "--option", "density=0.2"]
    pools.run(tmp_path, *options, base="base.safetensors", output="out.safetensors", c=-1)
    density = (0.2 * NUMBERS + 1.5) / NUMBERS
    mergekit("mergekit-pytorch", tmp_path, "ties", ".safetensors", weight=1.0, density=density)
    require_near(tmp_path / "out.safetensors", tmp_path / "theirs")
    changed = int((read(tmp_path / "out.safetensors")["w"] != base).sum())
    assert changed in range(NUMBERS // 5, 3 * NUMBERS // 5)
