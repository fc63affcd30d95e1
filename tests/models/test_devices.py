import copy
import os

import pytest
import torch
from torch import nn

from negmerge.models.devices import pool_in_order, tuned
from negmerge.settings.compute import Compute


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))


IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))


pytestmark = pytest.mark.usefixtures("torch_settings")


def test_bf16_computes_roughly_with_weights_gradients_and_answers_in_float32():
    exact, model = network()(IMAGES), tuned(network(), Compute(precision="bf16"))
    rough = model(IMAGES)
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    assert torch.equal(rough, rough.bfloat16().float())
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0.02)
    rough.square().sum().backward()
    for parameter in model.parameters():
        assert parameter.dtype == parameter.grad.dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")


def test_channels_last_changes_the_layout_and_no_more():
    found = tuned(network(), Compute(channels_last=True))
    assert found[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert found[0](IMAGES).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found(IMAGES), network()(IMAGES))
    for name, tensor in network().state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor)


@pytest.mark.parametrize(
    ("precision", "allowed"), [("fp32", False), ("tf32", True), ("bf16", False)]
)
def test_only_tf32_allows_a_gpu_to_drop_bits(precision, allowed):
    # torch's own default for convolutions is to allow it.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = not allowed
    tuned(network(), Compute(precision=precision))
    assert torch.backends.cudnn.allow_tf32 == allowed
    assert torch.backends.cuda.matmul.allow_tf32 == allowed


@pytest.mark.parametrize("wanted", [True, False])
def test_a_job_is_deterministic_unless_the_study_says_else(wanted):
    torch.backends.cudnn.benchmark = wanted
    torch.set_deterministic_debug_mode("error")
    tuned(network(), Compute(deterministic=wanted))
    assert torch.get_deterministic_debug_mode() == (2 if wanted else 0)
    assert torch.backends.cudnn.benchmark is not wanted


@pytest.mark.parametrize("value", [":4096:8", ":16:8"])
def test_what_is_not_deterministic_gives_cublas_its_own_choice_back(monkeypatch, value):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", value)
    tuned(network(), Compute())
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == value
    tuned(network(), Compute(deterministic=False))
    # What the user has set stays.
    assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == (None if value == ":4096:8" else value)


@pytest.mark.parametrize("side", [2, 4, 6, 7])
@pytest.mark.parametrize("size", [1, 2, (2, 2), (None, 2)])
def test_pooling_that_repeats_on_a_gpu_is_that_of_torch(size, side):
    images = torch.rand(3, 5, side, side, generator=torch.Generator().manual_seed(0))
    expected, found = images.clone().requires_grad_(), images.clone().requires_grad_()
    pooling = nn.Sequential(nn.AdaptiveAvgPool2d(size))
    torchs = pooling(expected)
    pool_in_order(pooling)
    pooled = copy.deepcopy(pooling)(found)
    torch.testing.assert_close(pooled, torchs)
    for one in (pooled, torchs):
        one.square().sum().backward()
    torch.testing.assert_close(found.grad, expected.grad)
    # Torch's own is left where windows differ in size, or a side has no number.
    own = size == (None, 2) or (size in (2, (2, 2)) and side == 7)
    assert ("AdaptiveAvgPool" in type(pooled.grad_fn).__name__) == own
