import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from negmerge.checkpoints.states import StateFile, write_state
from negmerge.evaluation.sparsity import Sparsity, sparsity
from negmerge.merging import merge
from negmerge.models.clip import is_frozen
from refusals import refused

VECTOR = {
    "visual.attn.weight": torch.zeros(5),
    "visual.mlp.weight": torch.tensor([[1.0, 0.0], [-0.0, 1e-45]]),
    "visual.proj": torch.tensor(2.0),
}
OTHER = {
    "visual.attn.weight": torch.zeros(5),
    "visual.mlp.weight": torch.tensor([[1.0, 3.0], [0.0, -2.0]]),
    "visual.proj": torch.tensor(1.0),
}
BASE = {
    "visual.attn.weight": torch.ones(5),
    "visual.mlp.weight": torch.tensor([[-1.0, 1.0], [1.0, -1e-38]]),
    "visual.proj": torch.tensor(0.0),
    "steps": torch.tensor(3),
    "visual.running_var": torch.ones(2),
}


@pytest.fixture
def stored(tmp_path):
    """Write a state and open it."""

    def store(name, state):
        write_state(tmp_path / name, state, {})
        return StateFile(tmp_path / name)

    return store


def count(stored, vector, pool, base, frozen="nothing"):
    files = [stored(f"vector{number}", one) for number, one in enumerate(pool)]
    base = stored("base", base)
    merged = stored("merged", vector)
    (counts,) = sparsity([merged], files, base, lambda name: not is_frozen(name, frozen))
    return counts


def test_zeros_are_counted_against_both_denominators(stored):
    for frozen, trainable in (("attention", 5), ("nothing", 10)):
        counts = count(stored, VECTOR, [VECTOR], BASE, frozen)
        assert (counts.kept, counts.trainable, counts.state) == (3, trainable, 10)


def test_vectors_of_one_pool_are_counted_together_as_each_alone(stored):
    pool = [stored(name, one) for name, one in (("a", VECTOR), ("b", OTHER))]
    base = stored("base", BASE)
    together = sparsity(pool, pool, base, lambda name: True)
    assert together == [sparsity([one], pool, base, lambda name: True)[0] for one in pool]
    assert [one.kept for one in together] == [3, 4]
    assert len({one.agreeing for one in together}) == 1


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_counts_are_those_of_whole_tensors(tmp_path_factory, seed, size):
    generator = torch.Generator().manual_seed(seed)
    pool = [{"w": torch.randint(-2, 3, (7, 3), generator=generator).float()} for _ in range(size)]
    base = {"w": torch.randint(-1, 2, (7, 3), generator=generator).half()}
    merged = merge("negmerge", pool)
    folder = tmp_path_factory.mktemp("files")
    files = []
    for number, state in enumerate([merged, *pool, base]):
        write_state(folder / str(number), state, {})
        files.append(StateFile(folder / str(number)))
    (counts,) = sparsity(files[:1], files[1:-1], files[-1], lambda name: True)
    numbers = torch.stack([vector["w"] for vector in pool])
    assert counts == Sparsity(
        kept=counts.agreeing,
        shrinking=int((merged["w"] * base["w"].float() < 0).sum()),
        nonzero_in_all=int((numbers != 0).all(dim=0).sum()),
        agreeing=int(((numbers > 0).all(dim=0) | (numbers < 0).all(dim=0)).sum()),
        trainable=21,
        state=21,
    )


def test_files_of_other_models_are_refused(stored):
    for base, message in (
        ({"visual.proj": torch.tensor(0.0)}, "tensor 'visual.attn.weight' is missing (2 in all)"),
        (BASE | {"visual.proj": torch.ones(2)}, "tensor 'visual.proj' has shape [2], expected []"),
    ):
        line = refused(lambda base=base: count(stored, VECTOR, [VECTOR], base))
        assert line.endswith(f"base: {message}")
    larger = VECTOR | {"x": torch.ones(1)}
    line = refused(lambda: count(stored, VECTOR, [larger], BASE))
    assert "vector0: tensor 'x' is not expected" in line
