"""What trains, scores and explains models, where they are on another device than their inputs.

`second_device` stands in for the GPU: it refuses numbers of two places, and what does not repeat.
Networks in the tangent space are not here: it has no derivatives forwards.
"""

import copy

import pytest
import torch

from negmerge.evaluation.accuracy import Classification, accuracy, relearn_epochs
from negmerge.evaluation.answering import Answering
from negmerge.evaluation.gradcam import choose, gradcam
from negmerge.models.answers import score_answers
from negmerge.models.classifiers import build_classifier, re_estimate
from negmerge.models.clip import ImageEncoder, image_tower
from negmerge.models.devices import tuned
from negmerge.models.generation import generate_greedily
from negmerge.settings.compute import Compute
from negmerge.settings.recipe import Recipe
from negmerge.training import fit
from second_device import DEVICE, SecondDevice, There
from small_language_models import language_model

pytestmark = pytest.mark.usefixtures("torch_settings")

CPU = torch.device("cpu")
CLASSES = 4
GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(6, 3, 32, 32, generator=GENERATOR)
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])
BATCHES = [(IMAGES[:4], LABELS[:4]), (IMAGES[4:], LABELS[4:])]
NETWORKS = {"resnet18": {"kind": "resnet18", "width": 8}, "vgg16-bn": {"kind": "vgg16-bn"}}


def both(compute):
    """Compute on the CPU and on the second device, with the same draws."""
    torch.manual_seed(0)
    expected = compute(CPU)
    torch.manual_seed(0)
    with SecondDevice(exact=False) as device:
        result = compute(DEVICE)
    assert device.operations
    return expected, result


def network(catalogue, name):
    torch.manual_seed(0)
    if name == "clip":
        return ImageEncoder(image_tower(catalogue.models["mini-clip"].model_dump()))
    row = {"architecture": NETWORKS[name], "size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    return build_classifier(row, CLASSES)


def head_of(model, device):
    return torch.eye(CLASSES, 64).to(device) if isinstance(model, ImageEncoder) else None


@pytest.mark.parametrize("name", ["clip", *NETWORKS])
def test_networks_train_on_their_device(catalogue, name):
    start = network(catalogue, name)
    recipe = Recipe(epochs=2, learning_rate=1e-3, warmup_steps=0, optimizer="sgd")

    def compute(device):
        model = tuned(copy.deepcopy(start).to(device), Compute())
        loss = Classification(head_of(model, device), device).loss(model, 0.1)
        fit(model, BATCHES * 2, 4, loss, recipe, device, lambda line: None)
        return {key: tensor.cpu() for key, tensor in model.state_dict().items()}

    expected, result = both(compute)
    for key, before in start.state_dict().items():
        assert not isinstance(result[key], There)
        moved, apart = expected[key] - before, result[key] - expected[key]
        assert apart.double().norm() <= 1e-2 * moved.double().norm() + 1e-6, key


def test_images_are_scored_on_their_device(catalogue):
    start = network(catalogue, "resnet18")

    def compute(device):
        model = copy.deepcopy(start).to(device)
        objective = Classification(None, device)
        with torch.no_grad():
            logits, labels = objective.outputs(model.eval(), BATCHES[0])
        scores = objective.scores((logits, labels)), objective.confidence((logits, labels))
        right = accuracy(model, None, BATCHES, device)
        again = relearn_epochs(model, [BATCHES] * 2, BATCHES, 7, 0.1, device)
        re_estimate(model, BATCHES, device)
        statistics = [tensor.cpu() for tensor in model.buffers()]
        flags = torch.tensor(right.correct), torch.tensor(again is None)
        return [logits, *scores, *statistics, *flags]

    expected, result = both(compute)
    torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["clip", "resnet18"])
def test_grad_cam_looks_on_its_device(catalogue, name):
    pytest.importorskip("captum")
    start = network(catalogue, name)

    def compute(device):
        model = copy.deepcopy(start).to(device)
        head = head_of(model, device)
        chosen = choose(model, head, BATCHES, device)
        mapped = gradcam(model, head, IMAGES.to(device), LABELS.to(device))
        return [torch.tensor(chosen), mapped.maps, mapped.probability]

    torch.testing.assert_close(*both(compute))


def test_answers_are_scored_and_given_on_their_device():
    pytest.importorskip("transformers")
    questions = [([3, 4, 5], [[6, 7, 2], [8, 9, 10, 2]]), ([3, 4, 5, 7], [[6, 2], [8, 2]])]
    ids = torch.tensor([[3, 4, 5, 6, 2], [3, 4, 8, 2, 0]])
    labels = torch.tensor([[-100, -100, -100, 6, 2], [-100, -100, 8, 2, -100]])

    def compute(device):
        model = language_model().to(device)
        answers = score_answers(model, questions, device, moments=True)
        losses = torch.tensor([answer.loss for each in answers for answer in each])
        said = generate_greedily(model, [[3, 4, 5], [6, 7]], [2], device, most=6)
        with torch.no_grad():
            result = Answering(device).outputs(model, (ids, labels))
        return losses, said, result[0]

    (losses, said, result), (there, said_there, found_there) = both(compute)
    torch.testing.assert_close(there, losses)
    torch.testing.assert_close(found_there, result, rtol=1e-5, atol=1e-5)
    assert said_there == said
