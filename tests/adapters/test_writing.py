"""A vector as an adapter: what is kept, what is lost, what PEFT makes of it, what is refused."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapter_examples import merged_by_peft, random, vector, write_base_file
from negmerge.adapters.reading import open_adapter
from negmerge.adapters.writing import EXACT, Layers, factor, nearest_factors, write_adapter
from negmerge.checkpoints.opening import open_state
from negmerge.errors import UserError
from negmerge.merging.blocks import Memory, Vectors
from small_language_models import language_model

pytest.importorskip("peft")


def blocks(state, numbers=50):
    """Yield the blocks of a vector as a merge does."""
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    dtypes = dict.fromkeys(state, torch.float32)
    for block in Vectors([Memory(state, "vector")], shapes, dtypes, numbers).blocks():
        yield block, next(iter(block)).reshape(-1).clone()


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


@pytest.mark.parametrize(("kind", "rank"), [("llama", 3), ("gpt2", 3), ("gpt2", 16)])
def test_base_and_adapter_are_what_peft_merges(kind, rank, tmp_path):
    model = language_model(kind, tie_word_embeddings=True)
    model.save_pretrained(tmp_path / "base")
    base, coefficient = open_state(tmp_path / "base"), 0.7
    # The singular values have a gap behind the third, so that the nearest factors are definite.
    change = {
        name: random(rows, *columns)
        if not columns
        else 0.1 * random(rows, 3) @ random(3, *columns) + 1e-3 * random(rows, *columns, seed=2)
        for name in base.names
        for rows, *columns in [base.shape(name)]
    }
    layers = Layers(base)
    factored = factor(blocks(change), coefficient, rank, layers)
    write_adapter(tmp_path / "adapter", factored, layers, "org/base")
    expected, left = {}, []
    for name, tensor in change.items():
        u, s, v = torch.linalg.svd(tensor.double().reshape(len(tensor), -1), full_matrices=False)
        whole = tensor.dim() < 2
        kept = tensor if whole else u[:, :rank] * s[:rank] @ v[:rank]
        expected[name] = base[name].double() - coefficient * kept
        left += [] if whole else [s[rank:]]
    merged = merged_by_peft(
        type(model), tmp_path / "base", tmp_path / "adapter", tmp_path / "merged"
    )
    for name, tensor in expected.items():
        torch.testing.assert_close(merged[name].double(), tensor, rtol=1e-5, atol=1e-5)
    again = vector(base, open_adapter(tmp_path / "adapter", base))
    for name, tensor in expected.items():
        wanted = tensor - base[name]
        torch.testing.assert_close(again[name].double(), wanted, rtol=1e-5, atol=1e-5)
    total = norm(torch.cat([tensor.flatten() for tensor in change.values()]))
    assert factored.loss == pytest.approx(norm(torch.cat(left)) / total, rel=1e-4, abs=1e-6)


def test_what_is_lost_is_told_by_tensor(tmp_path):
    tensors = {f"{name}.weight": random(6, 5) for name in ("q", "k", "other")}
    layers = Layers(write_base_file(tmp_path / "base.safetensors", tensors))
    change = {
        "q.weight": random(6, 5, seed=1),
        "k.weight": random(6, 1) @ random(1, 5),
        "other.weight": torch.zeros(6, 5),
    }
    factored = factor(blocks(change), 0.5, 2, layers)
    losses = factored.losses()
    assert losses.keys() == {"q.weight", "k.weight"}
    left_out = norm(torch.linalg.svdvals(change["q.weight"].double())[2:])
    assert losses["q.weight"] == pytest.approx(left_out / norm(change["q.weight"]), rel=1e-4)
    assert losses["k.weight"] < 1e-6
    write_adapter(tmp_path / "out", factored, layers, "org/base")
    keys = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert keys["base_model_name_or_path"] == "org/base"
    assert sorted(keys["target_modules"]) == ["k", "q"]
    assert keys["bias"] == "none"


@pytest.mark.parametrize("name", ["top", "experts.up", "embed.weight", "wte.weight"])
def test_changes_that_an_adapter_cannot_hold_are_refused_by_name(tmp_path, name):
    base = write_base_file(tmp_path / "base.safetensors", {name: random(4, 4)})
    with pytest.raises(UserError, match=f"'{name}'.*--exclude"):
        factor(blocks({name: torch.ones(4, 4)}), 1, 2, Layers(base))
