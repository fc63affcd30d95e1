"""A vector as an adapter: what is kept, what is lost, and what is refused."""

import json
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapter_examples import opened, pair, random, vector, write_adapter_folder, write_base_file
from negmerge.adapters.adapter import open_adapter
from negmerge.adapters.factoring import EXACT, Layers, concatenate, factor, nearest_factors
from negmerge.adapters.writing import write_adapter
from negmerge.errors import UserError


@dataclass
class Piece:
    name: str
    shape: tuple[int, ...]
    start: int
    stop: int


def pieces(state, numbers=5):
    """Yield the parts of a vector as a merge does."""
    for name, tensor in sorted(state.items()):
        for start in range(0, tensor.numel(), numbers):
            stop = min(start + numbers, tensor.numel())
            part = Piece(name, tuple(tensor.shape), start, stop)
            yield part, tensor.flatten()[start:stop].clone()


def norm(tensor):
    return float(torch.linalg.vector_norm(tensor.double()))


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 9), st.integers(0, 5))
def test_the_factors_are_the_nearest_of_their_rank(rows, columns, rank, seed):
    matrix = random(rows, columns, seed=seed)
    a, b = nearest_factors(matrix, rank)
    kept = min(rank, rows, columns)
    assert (a.shape, b.shape) == ((kept, columns), (rows, kept))
    left_out = torch.linalg.svdvals(matrix.double())[kept:]
    assert norm(matrix - b @ a) == pytest.approx(norm(left_out), abs=1e-4)


def test_large_matrices_are_factored_as_well_and_equally_each_time():
    size, rank = EXACT + 40, 8
    spectrum = torch.logspace(0, -2, size)
    u, v = (torch.linalg.qr(random(size, size, seed=seed))[0] for seed in (1, 2))
    matrix = u * spectrum @ v.T
    a, b = nearest_factors(matrix, rank)
    assert norm(matrix - b @ a) <= 1.001 * norm(spectrum[rank:])
    again = nearest_factors(matrix, rank)
    assert torch.equal(again[0], a)
    assert torch.equal(again[1], b)


def linear_base(tmp_path):
    return write_base_file(
        tmp_path / "base.safetensors",
        {
            "h.0.q_proj.weight": random(6, 5),
            "h.0.k_proj.weight": random(6, 5),
            "h.0.norm.weight": random(5),
            "embed.weight": random(9, 5),
            "h.0.experts.up": random(2, 4, 3),
            "top": random(4, 4),
        },
    )


def test_what_is_lost_is_told_by_tensor_and_in_all(tmp_path):
    base = linear_base(tmp_path)
    merged = {
        "h.0.q_proj.weight": random(6, 5, seed=1),
        "h.0.k_proj.weight": random(6, 1) @ random(1, 5),
        "embed.weight": torch.zeros(9, 5),
        "h.0.norm.weight": random(5, seed=2),
    }
    factored = factor(pieces(merged), 0.5, 2, Layers(base, []))
    left_out = norm(torch.linalg.svdvals(merged["h.0.q_proj.weight"].double())[2:])
    losses = factored.losses()
    assert losses.keys() == {"h.0.q_proj.weight", "h.0.k_proj.weight"}
    assert losses["h.0.q_proj.weight"] == pytest.approx(
        left_out / norm(merged["h.0.q_proj.weight"]), rel=1e-4
    )
    assert losses["h.0.k_proj.weight"] < 1e-6
    whole = norm(torch.cat([tensor.flatten() for tensor in merged.values()]))
    assert factored.loss == pytest.approx(left_out / whole, rel=1e-4)


def test_what_is_written_is_the_vector_times_minus_the_coefficient(tmp_path):
    base = linear_base(tmp_path)
    merged = {
        "h.0.q_proj.weight": random(6, 5, seed=1),
        "h.0.norm.weight": random(5, seed=2),
        "embed.weight": random(9, 5, seed=3),
    }
    layers = Layers(base, [])
    factored = factor(pieces(merged), 0.5, 5, layers)
    notes = write_adapter(tmp_path / "out", factored, layers, "org/base")
    assert "embed.weight" in notes[0]
    configuration = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert configuration["base_model_name_or_path"] == "org/base"
    assert configuration["target_modules"] == ["h.0.q_proj"]
    assert configuration["target_parameters"] == ["embed.weight"]
    assert configuration["modules_to_save"] == ["h.0.norm"]
    found = vector(base, open_adapter(tmp_path / "out", base))
    for name in merged:
        torch.testing.assert_close(found[name], -0.5 * merged[name], rtol=1e-4, atol=1e-5)
    for name in set(found) - set(merged):
        assert not found[name].any()


def test_the_sum_of_adapters_is_held_exactly(tmp_path):
    tensors = {
        "h.0.q.weight": random(4, 3),
        "h.0.q.bias": random(4),
        "wte.weight": random(7, 4),
        "head.weight": random(2, 3),
    }
    base, _ = opened(tmp_path, tensors, pair("h.0.q", 4, 3)[0])
    adapters = []
    for rank in (1, 3):
        factors = pair("h.0.q", 4, 3, rank, seed=rank)[0]
        factors["wte.lora_embedding_A"] = random(rank, 7, seed=rank)
        factors["wte.lora_embedding_B"] = random(4, rank, seed=rank)
        factors["head.weight"] = random(2, 3, seed=rank)
        factors["h.0.q.lora_B.bias"] = random(4, seed=rank)
        folder = write_adapter_folder(tmp_path / str(rank), factors, r=rank, lora_bias=True)
        adapters.append(open_adapter(folder, base))
    layers = Layers(base, adapters)
    factored = concatenate(adapters, [0.25, 0.75], 2.0, layers)
    assert (factored.rank, factored.loss, factored.losses()) == (4, 0, {})
    write_adapter(tmp_path / "out", factored, layers)
    found = vector(base, open_adapter(tmp_path / "out", base))
    first, second = (vector(base, adapter) for adapter in adapters)
    for name in tensors:
        expected = -2 * (0.25 * first[name] + 0.75 * second[name])
        torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["top", "h.0.experts.up"])
def test_changes_that_an_adapter_cannot_hold_are_refused_before_they_are_computed(tmp_path, name):
    base = linear_base(tmp_path)
    merged = {name: torch.ones(base.shape(name))}
    with pytest.raises(UserError, match=f"an adapter cannot hold the change of '{name}'"):
        factor(pieces(merged), 1, 2, Layers(base, []))
