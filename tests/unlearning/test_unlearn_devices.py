"""Unlearn methods where the model is on another device than the batches, as with a GPU.

`second_device` stands in for the GPU: it refuses numbers of two places, and what does not repeat.
"""

import dataclasses

import answer_examples as answers
import pytest
import torch
import unlearning_examples as examples
from test_unlearn_methods import FOR_IMAGES, SHORT

from negmerge.evaluation.accuracy import Classification
from negmerge.evaluation.answering import Answering
from second_device import DEVICE, SecondDevice, There


def unlearned_there(name, model, data, **options):
    """Run a method on the second device; return the numbers of the model, on the CPU."""
    with SecondDevice(exact=False) as device:
        model = model.to(DEVICE)
        assert all(isinstance(tensor, There) for tensor in model.state_dict().values())
        examples.unlearn(name, model, data, **options)
        state = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    assert device.operations > 100
    return state


@pytest.mark.parametrize("name", FOR_IMAGES)
def test_a_classifier_forgets_on_its_device(name):
    objective = Classification(None, DEVICE)
    data = dataclasses.replace(examples.example_data(), objective=objective)
    options = SHORT.get(name, {})
    unlearned = unlearned_there(name, examples.conv_net(), data, **options)
    expected = examples.unlearn(name, examples.conv_net(), examples.example_data(), **options)
    for key, tensor in expected.state_dict().items():
        assert torch.equal(unlearned[key], tensor), key


@pytest.mark.parametrize("name", answers.NAMES)
def test_a_language_model_forgets_on_its_device(name):
    pytest.importorskip("transformers")
    # Not AdamW, whose first steps make much of how a GPU rounds: it passes a batch whole.
    recipe = examples.example_recipe()
    here = dataclasses.replace(answers.example_data(), recipe=recipe)
    data = dataclasses.replace(answers.example_data(), recipe=recipe, objective=Answering(DEVICE))
    options = answers.OWN.get(name, {}) | {"epochs": 1, "learning_rate": 0.01}
    unlearned = unlearned_there(name, answers.untrained(), data, **options)
    expected = examples.unlearn(name, answers.untrained(), here, **options)
    start = answers.untrained().state_dict()
    for key, tensor in expected.state_dict().items():
        assert (unlearned[key] - tensor).norm() <= 1e-3 * (tensor - start[key]).norm() + 1e-5, key
