"""An adapter in place of a model: what the base must add to unlearn."""

import json

import pytest
import torch
from model_folders import read, save_pool
from safetensors.torch import load_file, save_file

import negmerge
from negmerge.errors import UserError
from negmerge.merging import merge
from negmerge.vectors import task_vector

LAYER = "layers.0.mlp"


def save_adapter(folder, seed, rank=2):
    generator = torch.Generator().manual_seed(seed)
    folder.mkdir()
    module = f"base_model.model.{LAYER}"
    factors = {
        f"{module}.lora_A.weight": torch.randn(rank, 5, generator=generator),
        f"{module}.lora_B.weight": torch.randn(7, rank, generator=generator),
    }
    save_file(factors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": ["mlp"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    change = 2 * factors[f"{module}.lora_B.weight"] @ factors[f"{module}.lora_A.weight"]
    return folder, change


@pytest.fixture
def adapters(tmp_path):
    """A base and two adapters: its state and folder, their folders, their changes."""
    (base,), (place,) = save_pool(tmp_path, count=0)
    places, changes = zip(*(save_adapter(tmp_path / f"a{n}", n) for n in (1, 2)), strict=True)
    return base, place, list(places), list(changes)


def change_of(folder):
    """The change that an adapter of `LAYER` is, whose scale is 1."""
    state = load_file(folder / "adapter_model.safetensors")
    first, second = (next(t for n, t in state.items() if k in n) for k in ("lora_A", "lora_B"))
    assert json.loads((folder / "adapter_config.json").read_text())["lora_alpha"] == len(first)
    return second @ first


def test_adapters_and_models_are_merged_together(tmp_path, adapters):
    base, place, places, changes = adapters
    (_, model), folders = save_pool(tmp_path / "more", count=1)
    negmerge.unlearn(place, [*places, folders[1]], tmp_path / "out", coefficient=0.5)
    zero = {n: torch.zeros_like(t) for n, t in task_vector(base, base).items()}
    vectors = [zero | {f"{LAYER}.weight": change} for change in changes]
    merged = merge("negmerge", [*vectors, task_vector(base, model)])
    wanted = base[f"{LAYER}.weight"] - 0.5 * merged[f"{LAYER}.weight"]
    torch.testing.assert_close(read(tmp_path / "out")[f"{LAYER}.weight"], wanted)


def test_the_nearest_adapter_of_a_rank_says_what_it_lost(tmp_path, adapters):
    _, place, places, changes = adapters
    out = tmp_path / "out"
    report = negmerge.unlearn(place, places, out, coefficient=0.5, method="uniform", adapter=3)
    wanted = -0.25 * (changes[0] + changes[1])
    lost = float((change_of(out) - wanted).norm() / wanted.norm())
    singular = torch.linalg.svdvals(wanted)
    assert 0 < lost < 0.5
    assert lost == pytest.approx(float(singular[3:].norm() / singular.norm()), rel=1e-4)
    share = pytest.approx(lost, rel=1e-4)
    assert report["adapter"] == {"rank": 3, "lost": share, "tensors": {f"{LAYER}.weight": share}}
    assert f"{100 * lost:.2f} %" in report["notes"][-1]
    assert "library_name: peft\n" in (out / "README.md").read_text()
    assert json.loads((out / "negmerge.json").read_text()) == report
    names = ["README.md", "adapter_config.json", "adapter_model.safetensors", "negmerge.json"]
    assert sorted(path.name for path in out.iterdir()) == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adapter": "exact"}, "--adapter 'exact'"),
        ({"adapter": 0}, "--adapter 0"),
        ({"adapter": 2, "dtype": "float16"}, "--dtype"),
    ],
)
def test_what_an_adapter_cannot_hold_is_refused(tmp_path, adapters, options, message):
    _, place, places, _ = adapters
    with pytest.raises(UserError, match=message):
        negmerge.unlearn(place, places, tmp_path / "out", coefficient=1, **options)
    assert not (tmp_path / "out").exists()
