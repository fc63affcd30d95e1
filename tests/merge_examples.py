"""Pools of task vectors, for the tests of the merge methods."""

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import save_file

from negmerge.merging import METHODS
from negmerge.merging.blocks import Memory, Vectors

# Zeros of both signs and equal numbers are where merges go wrong, so they are frequent. Others are
# neither so large that a sum overflows nor so small that a scaled one underflows.
SPECIAL = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, -0.5])
ORDINARY = st.floats(-(2.0**64), 2.0**64, width=32).filter(lambda x: abs(x) > 2**-64)
NUMBERS = st.one_of(SPECIAL, ORDINARY)

# Numbers whose sums are exact, so that no order of a sum changes a bit.
EXACT = st.integers(-64, 64).map(lambda x: x / 8)

# Every method, and every way of its options.
SETTINGS = [
    *((name, {}) for name in METHODS),
    *(("negmerge", {"operation": name}) for name in ("sum", "largest", "smallest", "median")),
    *(("ties", {"density": 0.5, "reduce": name}) for name in ("mean", "sum", "max")),
    ("ties", {"density": 1}),
    *(("ties", {"of": "trainable", "density": d}) for d in (0.5, 1)),
    ("ties", {"numbers": 600}),
    ("masked-single", {"single": 3}),
    ("dare", {"by": "magnitude", "drop": 0.4}),
    ("dare", {"rescale": False, "drop": 0.4}),
    ("breadcrumbs", {"density": 0.4, "remove": 0.2, "first": "density"}),
    ("consensus", {"active": 3}),
    ("relaxed", {"agreement": 0.5}),
    ("pcb", {"ratio": 0.4, "clip": 0.05}),
]


@st.composite
def pools(draw, largest=5, numbers=NUMBERS):
    """Task vectors of a few models: tensors `matrix` (n x 2) and `scalar`."""
    count = draw(st.integers(1, largest))
    n = draw(st.integers(1, 6))
    return [
        {
            "matrix": torch.from_numpy(draw(arrays(np.float32, (n, 2), elements=numbers))),
            "scalar": torch.tensor(draw(numbers), dtype=torch.float32),
        }
        for _ in range(count)
    ]


def random_pool(seed, count, *, like_models=False, dtype=torch.float32):
    """Task vectors with tensors of several shapes; half of the numbers are whole, so many tie."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        numbers = torch.randn(shape, generator=generator, dtype=dtype)
        if like_models:
            return numbers * 1e-3
        return torch.where(torch.rand(shape, generator=generator) < 0.5, numbers.round(), numbers)

    return [
        {"a": draw(40, 9), "b": draw(17), "c": draw(), "empty": draw(0, 3), "z": draw(2, 3, 5)}
        for _ in range(count)
    ]


def saved(pool, folder):
    """Write each vector to a file; give their places."""
    paths = [folder / f"{number}.safetensors" for number in range(len(pool))]
    for path, vector in zip(paths, pool, strict=True):
        save_file(vector, path)
    return paths


def mixed(pool):
    """One tensor in float64 among float32 ones."""
    return [vector | {"b": vector["b"].double() / 3} for vector in pool]


def rows(*vectors):
    """Task vectors of one tensor `w`; those given as lists are float32."""
    return [
        {"w": torch.tensor(v, dtype=torch.float32) if isinstance(v, list) else torch.as_tensor(v)}
        for v in vectors
    ]


def in_memory(pool):
    """The vectors as a method's survey gets them."""
    shapes = {name: tuple(tensor.shape) for name, tensor in pool[0].items()}
    dtypes = {name: tensor.dtype for name, tensor in pool[0].items()}
    return Vectors([Memory(vector, "vector") for vector in pool], shapes, dtypes)


def flat(pool):
    """All numbers of the vectors, one row each, in the order of the tensors' names."""
    return torch.stack([torch.cat([v[name].reshape(-1) for name in sorted(v)]) for v in pool])


def scaled(state, factor):
    return {name: tensor * factor for name, tensor in state.items()}


def bits(state):
    return {name: (t.dtype, t.shape, t.numpy().tobytes()) for name, t in state.items()}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def assert_close(found, expected, rtol=1e-6, atol=0.0):
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=rtol, atol=atol)
