import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from negmerge.vectors import apply, in_vector, task_vector
from refusals import refused

WEIGHTS = arrays("float32", (7,), elements=st.floats(-1000, 1000, width=32))


@pytest.mark.parametrize("name", ["task_vectors_f32", "task_vectors_int_buffer"])
def test_vectors_and_negations_are_the_official_ones(golden, name):
    file = golden(name)
    base, *finetuned = file.states("theta")
    vectors = [task_vector(base, state) for state in finetuned]
    for vector, expected in zip(vectors, file.states("tv"), strict=True):
        expected.pop("bn.running_mean", None)  # stays the base's here
        assert vector.keys() == expected.keys()
        assert all(torch.equal(vector[tensor], expected[tensor]) for tensor in vector)
    for coefficient in file.meta["coefs"]:
        unlearned = apply(base, vectors[0], -coefficient)
        expected = file.state(f"negated@{coefficient}")
        assert unlearned.keys() == expected.keys()
        for tensor, value in unlearned.items():
            if tensor == "bn.running_mean":
                assert torch.equal(value, base[tensor])
            else:
                assert value.dtype == expected[tensor].dtype
                torch.testing.assert_close(value, expected[tensor], rtol=1e-6, atol=1e-7)


def test_integer_buffers_and_batch_statistics_stay_the_base_s():
    base = {
        "conv.weight": torch.ones(2),
        "bn.running_mean": torch.zeros(2),
        "bn.running_var": torch.ones(2),
        "bn.num_batches_tracked": torch.tensor(3),
        "running_mean": torch.zeros(1),
        "running_mean.weight": torch.zeros(1),
        "mask": torch.tensor([True]),
    }
    changed = {name: tensor + 1 for name, tensor in base.items() if name != "mask"}
    vector = task_vector(base, changed | {"mask": torch.tensor([False])})
    assert sorted(vector) == ["conv.weight", "running_mean.weight"]
    assert vector.keys() == {name for name, tensor in base.items() if in_vector(name, tensor)}
    unlearned = apply(base, vector, -1.0)
    for name in base.keys() - vector.keys():
        assert torch.equal(unlearned[name], base[name])
        assert unlearned[name].data_ptr() != base[name].data_ptr()


@given(WEIGHTS, WEIGHTS)
def test_adding_a_task_vector_gives_the_finetuned_model(before, after):
    base, finetuned = {"w": torch.from_numpy(before)}, {"w": torch.from_numpy(after)}
    restored = apply(base, task_vector(base, finetuned), 1.0)
    torch.testing.assert_close(restored["w"], finetuned["w"], rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_and_stored_as_it_was(dtype):
    base, finetuned = torch.tensor([1.0, 1000.0]).to(dtype), torch.tensor([1.5, 0.1]).to(dtype)
    vector = task_vector({"w": base}, {"w": finetuned})["w"]
    assert torch.equal(vector, finetuned.float() - base.float())
    assert not torch.equal(vector, (finetuned - base).float())
    # 1e-4 is lost in float16 beside 1, so it must not be rounded before it is added up.
    moved = apply({"w": base}, {"w": torch.full((2,), 1e-4)}, 40.0)["w"]
    assert moved.dtype == dtype
    assert torch.equal(moved, (base.float() + 4e-3).to(dtype))


BASE = {"a": torch.zeros(3), "b": torch.zeros(2, 2)}
BAD = {
    "missing": ({"a": torch.zeros(3)}, "tensor 'b' is missing (1 in all)"),
    "extra": (BASE | {"c": torch.zeros(1)}, "tensor 'c' is not expected (1 in all)"),
    "misshapen": (BASE | {"a": torch.zeros(3, 1)}, "tensor 'a' has shape [3, 1], expected [3]"),
}


@pytest.mark.parametrize(("state", "finding"), BAD.values(), ids=BAD)
def test_states_of_another_layout_are_refused(state, finding):
    assert refused(lambda: task_vector(BASE, state, "m1")) == f"m1: {finding}"
    assert refused(lambda: apply(BASE, state, 1.0, "merged")) == f"merged: {finding}"


@pytest.mark.parametrize(
    ("tensor", "finding"),
    [
        (torch.tensor([1.0, float("nan"), 0.0]), "holds 1 NaN or infinite of 3"),
        (torch.zeros(3, dtype=torch.int64), "holds torch.int64, the base torch.float32"),
    ],
)
def test_a_model_whose_difference_is_no_vector_is_refused(tensor, finding):
    line = refused(lambda: task_vector(BASE, BASE | {"a": tensor}, "m1"))
    assert line == f"m1: tensor 'a' {finding}"
