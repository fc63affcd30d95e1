"""mergekit's linear and TIES merges of the same folders agree with ours, up to rounding.

- `linear` is the mean of the models, and so the base plus the mean vector: `uniform` at
  coefficient -1, since a vector is subtracted.
- `ties` has one definition in both where nothing is trimmed. mergekit trims each tensor on its
  own and keeps int(n * density) numbers; here one threshold is found for a whole model, and the
  numbers that are equal to it are kept as well, one more. So trimming is compared on models of one
  tensor, with the density that keeps one more.
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

MEMBERS = ("pool-0", "pool-1", "pool-2")
NUMBERS = 3000


def mergekit(program, folder, method, members, **options):
    """Merge by mergekit; JSON is YAML."""
    config = {
        "merge_method": method,
        "models": [{"model": str(folder / name), "parameters": options} for name in members],
        "dtype": "float32",
    }
    if method == "ties":
        config["base_model"] = str(folder / "base") + Path(members[0]).suffix
    (folder / "config.yaml").write_text(json.dumps(config))
    command = [Path(sys.executable).parent / program, folder / "config.yaml", folder / "theirs"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def state(folder):
    """Return all tensors of a folder."""
    files = sorted(folder.glob("*.safetensors"))
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("linear", ["--method", "uniform"]), ("ties", ["--method", "ties", "--option", "density=1"])],
)
def test_a_merge_of_folders_is_ours(tmp_path, theirs, ours):
    base, _ = small_models.prepare(tmp_path, "llama")
    pools.run(tmp_path, "base", *ours, coefficient=-1)
    mergekit("mergekit-yaml", tmp_path, theirs, MEMBERS, weight=1.0)
    found, expected = state(tmp_path / "out"), state(tmp_path / "theirs")
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-5, atol=1e-7)
    assert not torch.equal(found["lm_head.weight"], base.state_dict()["lm_head.weight"])


def test_ties_trims_one_tensor_as_mergekit_does(tmp_path):
    torch.manual_seed(0)
    base = torch.randn(NUMBERS)
    for name in ("base", *MEMBERS):
        moved = base if name == "base" else base + 0.1 * torch.randn(NUMBERS)
        save_file({"w": moved}, tmp_path / f"{name}.safetensors", metadata={"format": "pt"})
    members = [f"{name}.safetensors" for name in MEMBERS]
    options = ["--method", "ties", "--option", "density=0.2"]
    pools.run(tmp_path, "base.safetensors", *options, coefficient=-1, output="out.safetensors")
    density = (0.2 * NUMBERS + 1.5) / NUMBERS
    mergekit("mergekit-pytorch", tmp_path, "ties", members, weight=1.0, density=density)
    found, expected = load_file(tmp_path / "out.safetensors")["w"], state(tmp_path / "theirs")["w"]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    assert int((found != base).sum()) in range(NUMBERS // 5, 3 * NUMBERS // 5)
