"""The transforms of models that normalise their input themselves: mean 0, deviation 1."""

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torchvision.transforms import ToTensor

from negmerge.data.augmentation import evaluation_transform, training_transform
from negmerge.settings.recipe import Augmentation

MEAN, STD = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def picture(size=(16, 16)):
    """No pixel is black."""
    values = np.random.default_rng(0).integers(1, 256, (*size[::-1], 3), np.uint8)
    return Image.fromarray(values)


def training(**settings):
    return training_transform(Augmentation(crop_scale=None, **settings), 16, MEAN, STD)


def seen(transform, image, count=60):
    torch.manual_seed(0)
    return [transform(image) for _ in range(count)]


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (8, 8), (40, 20)])
@pytest.mark.parametrize("settings", [{}, {"padding": 4, "flip": 0.5}])
def test_results_have_the_model_s_size_and_lie_in_0_to_1(size, settings):
    for found in seen(training(**settings), picture(size), 10):
        assert found.shape == (3, 16, 16)
        assert found.dtype == torch.float32
        assert 0 <= found.min() < found.max() <= 1


def test_without_augmentation_nothing_is_random():
    for size in ((16, 16), (40, 20)):
        image = picture(size)
        expected = evaluation_transform(16, MEAN, STD)(image)
        assert all(torch.equal(found, expected) for found in seen(training(), image, 5))


def test_mean_and_deviation_are_applied():
    transform = training_transform(Augmentation(crop_scale=None), 16, (0.5,) * 3, (0.25,) * 3)
    image = picture()
    torch.testing.assert_close(transform(image), (ToTensor()(image) - 0.5) / 0.25)


def test_padding_shifts_by_as_much_and_fills_with_black():
    image = picture()
    padded = torch.nn.functional.pad(ToTensor()(image), (2, 2, 2, 2))
    places = {(y, x): padded[:, y : y + 16, x : x + 16] for y in range(5) for x in range(5)}
    found = set()
    for one in seen(training(padding=2), image, 300):
        (place,) = [place for place, crop in places.items() if torch.equal(one, crop)]
        found.add(place)
    assert found == places.keys()


def test_flips_come_as_often_as_is_asked_for():
    image = picture()
    plain = ToTensor()(image)
    for flip in (0.0, 0.5, 1.0):
        found = [torch.equal(one, plain.flip(2)) for one in seen(training(flip=flip), image, 200)]
        assert np.mean(found) == pytest.approx(flip, abs=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"crop_scale": None, "randaugment": "rand-m5-n2"},
            "randaugment needs a crop_scale: with null, expected randaugment null",
        ),
        ({"padding": 4}, "padding 4 needs crop_scale null: one of the two crops"),
        ({"crop_scale": None, "padding": -1}, "greater than or equal to 0"),
        ({"crop_scale": None, "padding": 1.5}, "valid integer"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        Augmentation(**settings)


def test_the_defaults_are_those_of_clip():
    assert Augmentation().crop_scale == [0.9, 1.0]
    assert Augmentation().padding == 0
