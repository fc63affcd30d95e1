"""Merges against the numbers of the official code."""

import numpy as np
import pytest
import torch

from negmerge.errors import UserError
from negmerge.merging import merge
from negmerge.vectors import apply, task_vector


def negmerge_of(thetas):
    base, *finetuned = thetas
    return merge("negmerge", [task_vector(base, theta) for theta in finetuned])


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("negmerge_f32_k1", 1e-6),
        ("negmerge_f32_k2", 1e-6),
        ("negmerge_f64_k4", 1e-12),
        ("negmerge_all_disagree_k2", 1e-6),
    ],
)
def test_negmerge_and_its_negation_are_the_official_ones(golden, name, tolerance):
    file = golden(name)
    thetas = file.states("theta")
    assert len(thetas) == 1 + file.meta["K"]
    merged = negmerge_of(thetas)
    expected = file.state("merged")
    assert merged.keys() == expected.keys()
    for tensor, value in expected.items():
        assert merged[tensor].dtype == value.dtype
        assert torch.equal(merged[tensor] == 0, value == 0), tensor
        torch.testing.assert_close(merged[tensor], value, rtol=tolerance, atol=0)
    for coefficient in file.meta["coefs"]:
        unlearned = apply(thetas[0], merged, -coefficient)
        for tensor, value in file.state(f"applied@{coefficient}").items():
            torch.testing.assert_close(unlearned[tensor], value, rtol=tolerance, atol=tolerance)


def test_half_precision_is_merged_in_float32(golden):
    file = golden("negmerge_f16_k3")
    thetas = file.states("theta")
    merged = negmerge_of(thetas)
    for name, value in file.state("merged").items():
        assert merged[name].dtype == torch.float32
        assert torch.equal(merged[name] == 0, value == 0), name
        # The official code rounds the difference, each sum and the mean to 11 bits.
        torch.testing.assert_close(merged[name], value.float(), rtol=4 * 2**-11, atol=2**-14)
        differences = np.stack([(t[name].double() - thetas[0][name].double()) for t in thetas[1:]])
        kept = merged[name].numpy() != 0
        mean = differences.mean(axis=0)[kept]
        np.testing.assert_allclose(merged[name].numpy()[kept], mean, rtol=1e-6)


EDGE_COLUMNS_REFUSED = ("nan in one", "all nan", "all inf", "inf and finite +", "inf -inf")


def edge_vectors(file, columns):
    places = [file.meta["columns"].index(column) for column in columns]
    base, *finetuned = file.states("theta")
    assert not base["w"].any()  # so a fine-tuned model is its own task vector
    return [{"w": theta["w"][places]} for theta in finetuned], file["merged/w"][places]


def test_hand_made_columns_are_exact(golden):
    file = golden("negmerge_edge_k3")
    refused = (*EDGE_COLUMNS_REFUSED, "overflow sum")
    columns = [column for column in file.meta["columns"] if column not in refused]
    assert len(columns) == 14
    vectors, expected = edge_vectors(file, columns)
    merged = merge("negmerge", vectors)["w"]
    assert np.array_equal(merged.numpy().view(np.int32), expected.view(np.int32))


@pytest.mark.parametrize(
    ("method", "title"), [("negmerge", "NegMerge"), ("uniform", "Uniform Merge")]
)
def test_a_sum_that_overflows_is_refused(golden, method, title):
    vectors, _ = edge_vectors(golden("negmerge_edge_k3"), ["overflow sum"])
    message = f"^{title}'s result: tensor 'w' holds 1 NaN or infinite of 1$"
    with pytest.raises(UserError, match=message):
        merge(method, vectors)


def test_running_variances_stay_out(golden):
    file = golden("negmerge_bn_runningvar_k3")
    thetas = file.states("theta")
    merged = negmerge_of(thetas)
    assert list(merged) == ["bn.weight"]
    torch.testing.assert_close(
        merged["bn.weight"], file.state("merged")["bn.weight"], rtol=1e-6, atol=0
    )
    unlearned = apply(thetas[0], merged, -1.0)
    assert (file.state("applied@1.0")["bn.running_var"] < 0).all()
    assert torch.equal(unlearned["bn.running_var"], thetas[0]["bn.running_var"])


def test_uniform_is_the_uniform_soup(golden):
    file = golden("soups_f32_n6")
    models = file.states("model_")
    assert len(models) == 6
    merged = merge("uniform", models)
    for name, value in file.state("uniform").items():
        torch.testing.assert_close(merged[name], value, rtol=1e-6, atol=1e-7)
    # Averaging task vectors is averaging weights.
    moved = apply(models[0], merge("uniform", [task_vector(models[0], m) for m in models]), 1.0)
    for name, value in file.state("uniform").items():
        torch.testing.assert_close(moved[name], value, rtol=1e-5, atol=1e-6)
