"""Transforms give the numbers of timm, torchvision and open_clip, alone and in batches."""

import io
import pickle
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
from negmerge.data.images import Images, Opened
from negmerge.data.preparation import encode, write_images
from negmerge.errors import UserError
from negmerge.settings.recipe import Augmentation

MEAN, STD = (0.2, 0.4, 0.6), (0.5, 0.25, 0.1)
# Models that normalise their input themselves: mean 0, deviation 1.
PLAIN = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
CROPS = Augmentation(crop_scale=[0.08, 1.0], flip=0.5, interpolation="random")


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
    assert torch.equal(evaluation_transform(16, MEAN, STD)(picture()), official(picture()))


@pytest.mark.parametrize(
    ("settings", "normalisation"),
    [
        ({"crop_scale": [0.08, 1.0], "interpolation": "bicubic"}, (MEAN, STD)),
        ({"crop_ratio": [0.5, 2.0], "flip": 0.5, "randaugment": "rand-m5-n2-mstd0.5"}, PLAIN),
    ],
)
def test_numbers_and_pixels_are_timm_s(settings, normalisation):
    chosen = Augmentation(**settings)
    mean, std = normalisation
    official = create_transform(
        16, True, scale=chosen.crop_scale, ratio=chosen.crop_ratio, hflip=chosen.flip,
        color_jitter=None, auto_augment=chosen.randaugment, interpolation=chosen.interpolation,
        mean=mean, std=std,
    )  # fmt: skip
    ours = training_transform(chosen, 16, mean, std)
    for number in range(20):
        results = []
        for transform in (ours, official):
            seed(number)
            results.append(transform(picture()))
            results.append([random.random(), np.random.rand(), torch.rand(1)])
        assert torch.equal(results[0], results[2])
        assert results[0].is_contiguous()
        assert results[1] == results[3]


@pytest.mark.parametrize(
    "wrong", [{"crop_scale": None, "randaugment": "rand-m5-n2"}, {"padding": 4}]
)
def test_settings_that_do_not_go_together_are_refused(wrong):
    with pytest.raises(ValidationError, match="crop_scale"):
        Augmentation(**wrong)


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
    results = []
    for build in (SmallTransform, torchvision_s):
        torch.manual_seed(numbers)
        transform = build(size, *normalisation, padding, flip)
        results.append([*(transform(image) for _ in range(3)), torch.get_rng_state()])
    for one, other in zip(*results, strict=True):
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
    batch = transform.of_batch(pixels.transpose(0, 3, 1, 2), seeds[:count])
    assert torch.equal(batch, torch.stack(expected))
    assert batch.is_contiguous()


def photograph(width, height):
    """Colours that change slowly, as the means over a few pixels do."""
    across, down = np.meshgrid(np.linspace(0, 3, width), np.linspace(0, 3, height))
    bands = [127 + 120 * np.sin(across + down * k) for k in (1, 2, 3)]
    return Image.fromarray(np.stack(bands, axis=2).astype(np.uint8))


def jpeg(image):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95)
    return stream.getvalue()


@pytest.fixture
def path(tmp_path):
    """A large JPEG, one in grey, and a PNG."""
    large = photograph(160, 100)
    items = [jpeg(large), jpeg(large.convert("L")), encode(photograph(30, 20))]
    write_images(tmp_path / "set", [("train", 0, item) for item in items], {"train": 3}, 1)
    return tmp_path / "set"


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("size", [25, 50, 60])
def test_drafts_show_a_model_nearly_the_same(path, place, size):
    exact, drafts = (Images(path, "train", drafts=drafts) for drafts in (False, True))
    assert isinstance(drafts[place], Opened) == (place < 2)  # only JPEGs
    assert pickle.loads(pickle.dumps(drafts))[place].size == exact[place].size
    for transform in (evaluation_transform(size, *PLAIN), training_transform(CROPS, size, *PLAIN)):
        for number in range(5):
            results = []
            for images in (exact, drafts):
                seed(number)
                results.append(transform(images[place]))
            assert results[1].shape == (3, size, size)
            torch.testing.assert_close(*results, rtol=0, atol=0.12 if place < 2 else 0)


def test_a_broken_draft_is_named():
    content = jpeg(photograph(160, 100))
    opened = Opened(content[: len(content) // 2], "set: image 3 of train")
    with pytest.raises(UserError, match=r"^set: image 3 of train: not a whole image \(.*\)$"):
        evaluation_transform(20, *PLAIN)(opened)
