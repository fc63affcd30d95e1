"""`negate_files`: the same writer as that of `unlearn`, for a vector that is there already."""

import pytest
import torch
from model_folders import assert_same_bits, draw, read, save_pool
from safetensors.torch import save_file

import negmerge
from negmerge.errors import UserError
from negmerge.merging import merge_files
from negmerge.standalone.unlearning import negate_files
from negmerge.vectors import apply, in_vector


def vector_of(state, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(t.shape, generator=generator)
        for name, t in state.items()
        if in_vector(name, t)
    }


@pytest.fixture
def pair(tmp_path):
    """A base and a vector: their states and places."""
    (base,), (place,) = save_pool(tmp_path, count=0, of=torch.bfloat16, dtype="bfloat16")
    vector = vector_of(base)
    save_file(vector, tmp_path / "vector")
    return base, vector, place, tmp_path / "vector"


def test_it_is_what_apply_computes(tmp_path, pair):
    base, vector, place, file = pair
    report = negate_files(place, file, 0.7, tmp_path / "out")
    assert_same_bits(read(tmp_path / "out"), apply(base, vector, -0.7))
    assert (tmp_path / "out" / "config.json").exists()
    assert report["coefficient"] == 0.7
    assert [one["name"] for one in report["pool"]] == ["vector"]
    wide = negate_files(place, file, 0.7, tmp_path / "wide.safetensors", "float32")
    wanted = apply({name: base[name].float() for name in vector}, vector, -0.7)
    found = read(tmp_path / "wide.safetensors")
    assert all(torch.equal(found[name], wanted[name]) for name in vector)
    assert wide["dtype"] == "float32"


def test_merging_and_negating_is_unlearning(tmp_path):
    _, folders = save_pool(tmp_path)
    merge_files("negmerge", folders[1:], tmp_path / "merged", base=folders[0])
    negate_files(folders[0], tmp_path / "merged", 0.9, tmp_path / "steps")
    negmerge.unlearn(folders[0], folders[1:], tmp_path / "once", coefficient=0.9)
    negmerge.unlearn(folders[0], folders[1:], tmp_path / "vector", vector_only=True)
    negate_files(folders[0], tmp_path / "vector", 0.9, tmp_path / "again")
    once = read(tmp_path / "once")
    assert_same_bits(read(tmp_path / "steps"), once)
    assert_same_bits(read(tmp_path / "again"), once)


def test_a_vector_may_lack_tensors_but_have_no_others(tmp_path, pair):
    base, vector, place, _ = pair
    save_file(vector | {"more": torch.ones(1)}, tmp_path / "other")
    with pytest.raises(UserError, match="other: tensor 'more' is not expected"):
        negate_files(place, tmp_path / "other", 1, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    # Tensors that a vector lacks stay.
    part = {name: vector[name] for name in ("layers.0.mlp.weight", "norm.weight")}
    save_file(part, tmp_path / "part")
    report = negate_files(place, tmp_path / "part", 0.7, tmp_path / "out")
    whole = {name: part.get(name, torch.zeros_like(t)) for name, t in vector.items()}
    assert_same_bits(read(tmp_path / "out"), apply(base, whole, -0.7))
    assert "part: lacks embed_tokens.weight, layers.0.mlp.bias" in report["notes"][0]


def test_tied_tensors_change_together(tmp_path):
    base = draw(0)
    base |= {"lm_head.weight": base["embed_tokens.weight"].clone()}
    save_file(base, tmp_path / "base")
    vector = vector_of(draw(0))
    save_file(vector, tmp_path / "vector")
    negate_files(tmp_path / "base", tmp_path / "vector", 0.5, tmp_path / "out")
    found = read(tmp_path / "out")
    assert torch.equal(found["lm_head.weight"], found["embed_tokens.weight"])
    assert_same_bits(
        {n: t for n, t in found.items() if n != "lm_head.weight"}, apply(draw(0), vector, -0.5)
    )
