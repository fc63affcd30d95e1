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


def vector_of(state):
    generator = torch.Generator().manual_seed(5)
    parts = {name: tensor for name, tensor in state.items() if in_vector(name, tensor)}
    return {name: torch.randn(t.shape, generator=generator) for name, t in parts.items()}


def test_a_vector_is_subtracted_where_it_has_tensors(tmp_path):
    (base,), (place,) = save_pool(tmp_path, count=0, of=torch.bfloat16, dtype="bfloat16")
    vector = vector_of(base)
    save_file(vector, tmp_path / "vector")
    report = negate_files(place, tmp_path / "vector", 0.7, tmp_path / "out")
    assert_same_bits(read(tmp_path / "out"), apply(base, vector, -0.7))
    assert (tmp_path / "out" / "config.json").exists()
    assert (report["coefficient"], report["pool"][0]["name"]) == (0.7, "vector")
    part = {name: vector[name] for name in ("layers.0.mlp.weight", "norm.weight")}
    save_file(part, tmp_path / "part")
    report = negate_files(place, tmp_path / "part", 0.7, tmp_path / "some")
    whole = {name: part.get(name, torch.zeros_like(t)) for name, t in vector.items()}
    assert_same_bits(read(tmp_path / "some"), apply(base, whole, -0.7))
    assert "part: lacks embed_tokens.weight, layers.0.mlp.bias" in report["notes"][0]
    save_file(vector | {"more": torch.ones(1)}, tmp_path / "other")
    with pytest.raises(UserError, match="other: tensor 'more' is not expected"):
        negate_files(place, tmp_path / "other", 1, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_merging_and_negating_is_unlearning(tmp_path):
    _, folders = save_pool(tmp_path)
    negmerge.unlearn(folders[0], folders[1:], tmp_path / "once", coefficient=0.9)
    merge_files("negmerge", folders[1:], tmp_path / "merged", base=folders[0])
    negmerge.unlearn(folders[0], folders[1:], tmp_path / "vector", vector_only=True)
    for vector in ("merged", "vector"):
        negate_files(folders[0], tmp_path / vector, 0.9, tmp_path / f"by-{vector}")
        assert_same_bits(read(tmp_path / f"by-{vector}"), read(tmp_path / "once"))


def test_tied_tensors_change_together(tmp_path):
    base, vector = draw(0), vector_of(draw(0))
    head = {"lm_head.weight": base["embed_tokens.weight"].clone()}
    save_file(base | head, tmp_path / "base")
    save_file(vector, tmp_path / "vector")
    negate_files(tmp_path / "base", tmp_path / "vector", 0.5, tmp_path / "out")
    expected = apply(base, vector, -0.5)
    expected["lm_head.weight"] = expected["embed_tokens.weight"]
    assert_same_bits(read(tmp_path / "out"), expected)
