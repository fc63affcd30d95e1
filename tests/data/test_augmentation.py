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
from torchvision.transforms import ToTensor

from negmerge.data.augmentation import SmallTransform, evaluation_transform, training_transform
from negmerge.settings.recipe import Augmentation

MEAN, STD = (0.2, 0.4, 0.6), (0.5, 0.25, 0.1)


def picture(size=(24, 18)):
    """No pixel is black."""
    return Image.fromarray(np.random.default_rng(0).integers(1, 256, (*size[::-1], 3), np.uint8))


def seed(number):
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def training(**settings):
    return training_transform(Augmentation(**settings), 16, MEAN, STD)


def steps(**settings):
    transform = training(**settings)
    return [type(step).__name__ for step in (*transform.steps, transform.normalise)]


def test_evaluation_has_no_randomness():
    transform = evaluation_transform(16, MEAN, STD)
    seed(0)
    first = transform(picture())
    seed(1)
    assert torch.equal(transform(picture()), first)
    assert first.shape == (3, 16, 16)
    assert first.dtype == torch.float32


def test_evaluation_is_clip_s_own():
    from open_clip.transform import image_transform

    official = image_transform(16, is_train=False, mean=MEAN, std=STD)
    image = picture()
    assert torch.equal(evaluation_transform(16, MEAN, STD)(image), official(image))


@pytest.mark.parametrize("size", [(8, 8), (16, 16), (40, 20)])
def test_intensities_are_normalised(size):
    image = Image.new("RGB", size, (51, 102, 255))
    expected = torch.tensor([(0.2 - 0.2) / 0.5, 0.0, (1 - 0.6) / 0.1])
    for transform in (evaluation_transform(16, MEAN, STD), training(), training(crop_scale=None)):
        found = transform(image)
        assert found.shape == (3, 16, 16)
        torch.testing.assert_close(found.mean(dim=(1, 2)), expected, atol=1e-5, rtol=1e-5)
        assert found.std(dim=(1, 2)).max() < 1e-5


@pytest.mark.parametrize("interpolation", ["bicubic", "random"])
@pytest.mark.parametrize("normalisation", [(MEAN, STD), ((0.0,) * 3, (1.0,) * 3)])
def test_numbers_and_pixels_are_timm_s(interpolation, normalisation):
    mean, std = normalisation
    settings = {"crop_scale": [0.08, 1.0], "flip": 0.5, "interpolation": interpolation}
    official = create_transform(
        16, True, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), hflip=0.5, color_jitter=None,
        auto_augment="rand-m5-n2-mstd0.5", interpolation=interpolation, mean=mean, std=std,
    )  # fmt: skip
    ours = training_transform(
        Augmentation(randaugment="rand-m5-n2-mstd0.5", **settings), 16, mean, std
    )
    for number in range(20):
        found = []
        for transform in (ours, official):
            seed(number)
            found.append(transform(picture()))
            found.append([random.random(), np.random.rand(), torch.rand(1)])
        assert torch.equal(found[0], found[2])
        assert found[0].is_contiguous()
        assert found[1] == found[3]


def test_no_colour_jitter_and_no_erasing():
    plain = ["CropOfDraft", "Normalise"]
    assert steps() == plain
    assert steps(flip=0.5) == [plain[0], "RandomHorizontalFlip", *plain[1:]]
    assert steps(randaugment="rand-m5-n2-mstd0.5") == [plain[0], "RandAugment", *plain[1:]]


def test_crops_keep_the_share_of_the_area_that_is_asked_for():
    crop = training(crop_scale=[0.08, 1.0], crop_ratio=[0.5, 2.0]).steps[0].crop
    assert (crop.scale, crop.ratio) == ((0.08, 1.0), (0.5, 2.0))
    whole = training(crop_scale=[1.0, 1.0], crop_ratio=[1.0, 1.0])
    image = picture((16, 16))
    assert torch.equal(whole(image), evaluation_transform(16, MEAN, STD)(image))


def test_flips_come_as_often_as_is_asked_for():
    # The left half is black.
    image = Image.fromarray(
        np.tile(np.repeat([0, 255], 8).astype(np.uint8)[None, :, None], (16, 1, 3))
    )
    for flip in (0.0, 1.0):
        found = training(flip=flip, crop_scale=[1.0, 1.0], crop_ratio=[1.0, 1.0])(image)
        assert (found[:, :, 0].mean() > found[:, :, -1].mean()) == bool(flip)


def test_randaugment_has_as_many_operations_as_are_asked_for():
    for magnitude, number in ((1, 1), (10, 3)):
        name = f"rand-m{magnitude}-n{number}-mstd0.5"
        augment = training(randaugment=name).steps[1]
        assert augment.num_layers == number
        assert len(augment.ops) == 15
        assert {operation.magnitude for operation in augment.ops} == {magnitude}
        assert {operation.magnitude_std for operation in augment.ops} == {0.5}
        assert {operation.prob for operation in augment.ops} == {0.5}


def test_every_point_of_the_paper_s_pool_runs():
    image = picture((32, 32))
    for magnitude in range(1, 11):
        for number in (1, 2, 3):
            transform = training(randaugment=f"rand-m{magnitude}-n{number}-mstd0.5")
            seed(magnitude)
            for _ in range(10):
                assert transform(image).isfinite().all()


# Models that normalise their input themselves: mean 0, deviation 1.
PLAIN = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def small(**settings):
    return training_transform(Augmentation(crop_scale=None, **settings), 16, *PLAIN)


def seen(transform, image, count=60):
    torch.manual_seed(0)
    return [transform(image) for _ in range(count)]


@pytest.mark.parametrize("size", [(16, 16), (28, 28), (8, 8), (40, 20)])
@pytest.mark.parametrize("settings", [{}, {"padding": 4, "flip": 0.5}])
def test_results_have_the_model_s_size_and_lie_in_0_to_1(size, settings):
    for found in seen(small(**settings), picture(size), 10):
        assert found.shape == (3, 16, 16)
        assert found.dtype == torch.float32
        assert 0 <= found.min() < found.max() <= 1


def test_without_augmentation_nothing_is_random():
    for size in ((16, 16), (40, 20)):
        image = picture(size)
        expected = evaluation_transform(16, *PLAIN)(image)
        assert all(torch.equal(found, expected) for found in seen(small(), image, 5))


def test_padding_shifts_by_as_much_and_fills_with_black():
    image = picture((16, 16))
    padded = torch.nn.functional.pad(ToTensor()(image), (2, 2, 2, 2))
    places = {(y, x): padded[:, y : y + 16, x : x + 16] for y in range(5) for x in range(5)}
    found = set()
    for one in seen(small(padding=2), image, 300):
        (place,) = [place for place, crop in places.items() if torch.equal(one, crop)]
        found.add(place)
    assert found == places.keys()


def test_small_images_are_flipped_as_often_as_is_asked_for():
    image = picture((16, 16))
    plain = ToTensor()(image)
    for flip in (0.0, 0.5, 1.0):
        found = [torch.equal(one, plain.flip(2)) for one in seen(small(flip=flip), image, 200)]
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
