"""Networks that are linear in their weights."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from negmerge.models.clip import ImageEncoder, TangentEncoder, build_clip, image_encoder, linearised


class Perceptron(nn.Module):
    """The network of the reference vectors: linear, layer norm, gelu, linear."""

    def __init__(self):
        super().__init__()
        self.fc1, self.ln, self.fc2 = nn.Linear(6, 9), nn.LayerNorm(9), nn.Linear(9, 4)

    def forward(self, inputs):
        return self.fc2(functional.gelu(self.ln(self.fc1(inputs))))


@pytest.fixture
def reference(golden):
    file = golden("linearized_mlp")
    network = Perceptron()
    network.load_state_dict(file.state("theta"))
    return file, network.eval(), torch.from_numpy(file["x"])


def test_the_linear_form_and_its_gradient_are_the_official_ones(reference):
    file, network, inputs = reference
    outputs = linearised(network, file.state("theta0"), inputs)
    torch.testing.assert_close(outputs, torch.from_numpy(file["f_linear"]), rtol=0, atol=1e-5)
    assert (outputs - network(inputs)).abs().max() > 1e-3, "the network itself is not linear"
    functional.cross_entropy(outputs, torch.from_numpy(file["labels"])).backward()
    for name, expected in file.state("grad").items():
        torch.testing.assert_close(network.get_parameter(name).grad, expected, rtol=0, atol=1e-5)


@pytest.fixture
def clip(catalogue):
    row = catalogue.models["mini-clip"].model_dump()
    torch.manual_seed(0)
    base = {
        name: t.clone() for name, t in ImageEncoder(build_clip(row).visual).state_dict().items()
    }
    generator = torch.Generator().manual_seed(1)
    moved = {
        name: tensor + 0.02 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in base.items()
    }
    return row, base, moved, torch.rand(3, 3, 32, 32, generator=generator)


def tangent_encoder(row, base, state):
    return image_encoder(row, state, "state", lambda model: TangentEncoder(model, base))


def test_at_the_base_both_encoders_agree_and_elsewhere_not(clip):
    row, base, moved, images = clip
    with torch.no_grad():
        standard = [image_encoder(row, state, "state").eval()(images) for state in (base, moved)]
        linear = [tangent_encoder(row, base, state).eval()(images) for state in (base, moved)]
    torch.testing.assert_close(linear[0], standard[0], rtol=1e-4, atol=1e-5)
    assert (linear[1] - standard[1]).abs().max() > 1e-3
    torch.testing.assert_close(linear[1].norm(dim=1), torch.ones(3))


def test_a_tangent_encoder_has_the_state_of_the_standard_one_and_trains_it(clip):
    row, base, moved, images = clip
    encoder = tangent_encoder(row, base, moved).train()
    state = encoder.state_dict()
    assert state.keys() == base.keys()
    assert all(torch.equal(state[name], moved[name]) for name in moved)
    assert not encoder.training, "the derivative is meant in eval mode"
    encoder(images)[:, 0].sum().backward()
    assert all(weight.grad is not None for weight in encoder.parameters())
    assert {name for name, _ in encoder.named_parameters()} <= set(base)
