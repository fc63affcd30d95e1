"""mergekit's linear and TIES merges of the same folders agree with ours, up to rounding.

`linear` is the mean of the models, and so the base plus the mean vector: `uniform` at coefficient
-1, since a vector is subtracted. `ties` has one definition in both where nothing is trimmed.
"""

import json
import subprocess
import sys
from pathlib import Path

import pools
import pytest
import small_models
import torch
from safetensors.torch import load_file


def mergekit(folder, method):
    """Merge by mergekit; JSON is YAML."""
    members = [str(folder / f"pool-{number}") for number in range(len(pools.RATES))]
    config = {
        "merge_method": method,
        "models": [{"model": member, "parameters": {"weight": 1.0}} for member in members],
        "dtype": "float32",
        **({"base_model": str(folder / "base")} if method == "ties" else {}),
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    program = Path(sys.executable).parent / "mergekit-yaml"
    command = [program, folder / "config.yaml", folder / "theirs"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def read(folder):
    """Return all tensors of a folder."""
    files = sorted(folder.glob("*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("linear", ["--method", "uniform"]), ("ties", ["--method", "ties", "--option", "density=1"])],
)
def test_a_merge_of_folders_is_ours(tmp_path, theirs, ours):
    base, _ = small_models.prepare(tmp_path, "llama")
    pools.run(tmp_path, *ours, c=-1)
    mergekit(tmp_path, theirs)
    merged, expected = read(tmp_path / "out"), read(tmp_path / "theirs")
    assert merged.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(merged[name], tensor, rtol=1e-5, atol=1e-7)
    assert not torch.equal(merged["lm_head.weight"], base.state_dict()["lm_head.weight"])
