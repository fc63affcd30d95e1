"""Networks from files of code: what they build, what they must give, and when they count as new."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from negmerge.errors import UserError
from negmerge.evaluation.gradcam import last_stage
from negmerge.models.classifiers import build_classifier, last_linear, load_classifier
from negmerge.settings.models import Model
from negmerge.unlearning.methods.boundary_expand import expand

CODE = """
import torch
from torch import nn
from beside import WIDTH

class Plain(nn.Module):
    def __init__(self, outputs, width):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, width, 3), nn.Linear(width * 36, outputs)
    def forward(self, images):
        # Fails where the channels lie last.
        return self.fc(self.conv(images).view(len(images), -1))

def plain(outputs, *, width=WIDTH):
    return Plain(outputs, width)

def pooled():
    return nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten())

def images():
    return nn.Identity()

def number():
    return 7
"""
GITHUB = "someone/networks:" + "0123456789" * 4


def row(name="plain", **options):
    architecture = {"kind": "factory", "name": f"net.py:{name}", "options": options}
    return {"architecture": architecture, "size": 8, "mean": [0.5] * 3, "std": [0.25] * 3}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A working folder with a file of code, and as folders for torch.hub."""
    for folder in ("", "mine", "cache/hub/someone_networks_" + "0123456789" * 4):
        place = tmp_path / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / ("hubconf.py" if folder else "net.py")).write_text(CODE)
        (place / "beside.py").write_text("WIDTH = 8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.parametrize("repository", [None, "mine", GITHUB])
def test_a_network_is_built_and_comes_back_with_one_output_more(repository):
    chosen = row(outputs=5)
    if repository:
        hub = {"kind": "torch-hub", "repository": repository, "name": "plain"}
        chosen["architecture"] = hub | {"options": {"outputs": 5}}
    model, batch = build_classifier(chosen, 5).eval(), torch.rand(3, 3, 8, 8)
    again = load_classifier(chosen, model.state_dict(), "x").eval()
    with torch.no_grad():
        assert torch.equal(model(batch), model.network((batch - 0.5) / 0.25))
        assert torch.equal(again(batch), model(batch))
        label = expand(model, seed=1)
        wider = load_classifier(chosen, model.state_dict(), "x").eval()
        assert torch.equal(wider(batch), model(batch))
        assert torch.equal(wider(batch)[:, :label], again(batch))
    assert (label, wider(batch).shape) == (5, (3, 6))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (row(), "net.py:plain: missing a required argument: 'outputs'; given by `architecture."),
        (row(outputs=5, widht=3), "net.py:plain: got an unexpected keyword argument 'widht'; giv"),
        (row("plian"), "net.py: unknown function 'plian'; did you mean 'plain'?"),
        (row("number"), "net.py:number: gave an object of type int, expected a torch.nn.Module"),
        (row("images"), "net.py:images: for 2 images of 8 pixels it gives [2, 3, 8, 8], expected"),
        (row(outputs=4), "net.py:plain: it has 4 outputs, the data set 5 classes"),
        (row() | {"architecture": {"kind": "factory", "name": "not.py:f"}},
         "not.py: no such file, but `architecture` of a model's row names it"),
        (row() | {"architecture": {"kind": "factory", "name": "broken.py:f"}},
         "broken.py: '(' was never closed"),
        (row() | {"architecture": {"kind": "factory", "name": "needs.py:f"}},
         "needs.py: No module named 'not_installed'"),
    ],
)  # fmt: skip
def test_code_that_gives_no_classifier_is_refused(here, chosen, message):
    (here / "broken.py").write_text("f = (")
    (here / "needs.py").write_text("import not_installed")
    with pytest.raises(UserError) as caught:
        build_classifier(chosen, 5)
    assert str(caught.value).startswith(message)


def test_weights_by_other_names_are_refused_with_the_nearest():
    state = build_classifier(row(outputs=5), 5).state_dict()
    state["network.head.weight"] = state.pop("network.fc.weight")
    expected = "tensor 'network.fc.weight' is missing (1 in all); the nearest of 1 that are not"
    with pytest.raises(UserError, match=re.escape(expected) + ".* is 'network.head.weight'"):
        load_classifier(row(outputs=5), state, "x")


def test_only_what_needs_a_linear_layer_asks_for_one():
    model = build_classifier(row("pooled"), 4)
    assert load_classifier(row("pooled"), model.state_dict(), "x")(torch.rand(1, 3, 8, 8)).numel()
    with pytest.raises(UserError, match="a network of type Sequential has no layer"):
        last_linear(model)


@pytest.mark.parametrize(
    "architecture",
    [row()["architecture"], {"kind": "torch-hub", "repository": "mine", "name": "plain"}],
)
def test_another_code_is_another_model_to_jobs(here, architecture):
    model = Model(**row() | {"architecture": architecture, "title": "Mine", "weights": "pretrain"})
    before = model.contents()
    assert before == model.contents()
    assert model.architecture == architecture
    path = here / ("net.py" if architecture["kind"] == "factory" else "mine/hubconf.py")
    path.write_text(CODE + "\n")
    assert model.contents() != before
    path.unlink()
    with pytest.raises(UserError, match=f"{path.name}: no such file, but `architecture` of"):
        model.contents()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "net.py"}, "architecture.name is 'net.py', expected FILE.py:FUNCTION"),
        ({"name": "net:plain"}, "architecture.name is 'net:plain', expected FILE.py:FUNCTION"),
        ({"kind": "torch-hub", "repository": "someone/networks:main"},
         "architecture.repository is 'someone/networks:main', expected OWNER/NAME:COMMIT"),
        ({"kind": "torch-hub"}, "architecture.repository is '', expected OWNER/NAME:COMMIT"),
        ({"options": [5]}, "architecture.options: expected arguments by name"),
    ],
)  # fmt: skip
def test_a_row_that_names_no_code_is_refused(changes, message):
    architecture = row()["architecture"] | changes
    with pytest.raises(ValueError, match=re.escape(message)):
        Model(**row() | {"architecture": architecture, "title": "Mine", "weights": "pretrain"})


def test_the_published_resnet20_has_the_names_and_shortcuts_of_the_paper(catalogue):
    model = build_classifier(catalogue.models["ResNet-20"].contents(), 10)
    network = model.network
    weights = [p.numel() for n, p in network.named_parameters() if "bn" not in n]
    # He et al., 2016, table 6: 0.27 M; 3 x 3 filters of 1 + 18 convolutions, and a linear layer.
    filters = 3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64
    assert sum(weights) == 9 * filters + 64 * 10 + 10
    assert {"layer1.0.conv1.weight", "layer3.2.bn2.running_var", "linear.bias"} <= set(
        network.state_dict()
    )
    assert last_stage(model).name == "network.layer3"
    block = network.layer2[0].eval()
    images = torch.randn(2, 16, 6, 6)
    nn.init.zeros_(block.conv2.weight)
    expected = np.zeros((2, 32, 3, 3), np.float32)
    expected[:, 8:24] = np.maximum(images.numpy()[:, :, ::2, ::2], 0)
    with torch.no_grad():
        np.testing.assert_array_equal(block(images).numpy(), expected)
