import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from timm.data import create_transform
from torchvision import transforms

from negmerge.data.augmentation import SmallTransform, evaluation_transform, training_transform
from negmerge.settings.recipe import Augmentation

MEAN, STD = (0.2, 0.4, 0.6), (0.5, 0.25, 0.1)
# Models that normalise their input themselves: mean 0, deviation 1.
PLAIN = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def picture(size=(24, 18)):
    """No pixel is black."""
    return Image.fromarray(np.random.default_rng(0).integers(1, 256, (*size[::-1], 3), np.uint8))


def seed(number):
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def test_evaluation_is_clip_s_own():
    from open_clip.transform import image_transform

    official = image_transform(16, is_train=False, mean=MEAN, std=STD)
    image = picture()
    assert torch.equal(evaluation_transform(16, MEAN, STD)(image), official(image))


@pytest.mark.parametrize(
    ("settings", "normalisation"),
    [
        ({"crop_scale": [0.08, 1.0], "interpolation": "bicubic"}, (MEAN, STD)),
        ({"crop_ratio": [0.5, 2.0], "flip": 0.5, "randaugment": "rand-m5-n2-mstd0.5"}, PLAIN),
    ],
)
def test_numbers_and_pixels_are_timm_s(settings, normalisation):
    augmentation = Augmentation(**settings)
    mean, std = normalisation
    official = create_transform(
        16, True, scale=augmentation.crop_scale, ratio=augmentation.crop_ratio,
        hflip=augmentation.flip, color_jitter=None, auto_augment=augmentation.randaugment,
        interpolation=augmentation.interpolation, mean=mean, std=std,
    )  # fmt: skip
    ours = training_transform(augmentation, 16, mean, std)
    for number in range(20):
        found = []
        for transform in (ours, official):
            seed(number)
            found.append(transform(picture()))
            found.append([random.random(), np.random.rand(), torch.rand(1)])
        assert torch.equal(found[0], found[2])
        assert found[0].is_contiguous()
        assert found[1] == found[3]


def test_every_point_of_the_paper_s_pool_runs():
    image = picture((32, 32))
    for magnitude in range(1, 11):
        for number in (1, 2, 3):
            point = Augmentation(randaugment=f"rand-m{magnitude}-n{number}-mstd0.5")
            assert training_transform(point, 16, MEAN, STD)(image).isfinite().all()


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


def torchvision_s(size, mean, std, padding, flip):
    return transforms.Compose(
        [
            transforms.Resize(size, transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(size),
            *([transforms.RandomCrop(size, padding=padding)] if padding else []),
            *([transforms.RandomHorizontalFlip(flip)] if flip else []),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )


@given(
    sides=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    size=st.integers(1, 40),
    numbers=st.integers(0, 2**32 - 1),
    padding=st.integers(0, 6),
    flip=st.sampled_from([0.0, 0.3, 1.0]),
    normalisation=st.sampled_from([(MEAN, STD), PLAIN]),
)
def test_numbers_and_pixels_are_torchvision_s(sides, size, numbers, padding, flip, normalisation):
    pixels = np.random.default_rng(numbers).integers(0, 256, (*sides, 3), np.uint8)
    image = Image.fromarray(pixels)
    found = []
    for build in (SmallTransform, torchvision_s):
        torch.manual_seed(numbers)
        transform = build(size, *normalisation, padding, flip)
        found.append([*(transform(image) for _ in range(3)), torch.get_rng_state()])
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
        assert one.is_contiguous()


@given(
    count=st.integers(1, 5),
    size=st.integers(1, 20),
    seeds=st.lists(st.integers(0, 2**32 - 1), min_size=5, max_size=5),
    padding=st.integers(0, 6),
    flip=st.sampled_from([0.0, 0.3, 1.0]),
    normalisation=st.sampled_from([(MEAN, STD), PLAIN]),
)
def test_a_batch_gives_what_its_images_give_one_by_one(
    count, size, seeds, padding, flip, normalisation
):
    pixels = np.random.default_rng(count).integers(0, 256, (count, size, size, 3), np.uint8)
    transform, expected = SmallTransform(size, *normalisation, padding, flip), []
    for number, image in zip(seeds, pixels, strict=False):
        torch.manual_seed(number)
        expected.append(transform(Image.fromarray(image)))
    found = transform.of_batch(pixels.transpose(0, 3, 1, 2), seeds[:count])
    assert torch.equal(found, torch.stack(expected))
    assert found.is_contiguous()
