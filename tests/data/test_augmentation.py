import random

import numpy as np
import pytest
import torch
from PIL import Image

from negmerge.data.augmentation import evaluation_transform, training_transform
from negmerge.settings.recipe import Augmentation

MEAN, STD = (0.2, 0.4, 0.6), (0.5, 0.25, 0.1)


def picture(size=(24, 18)):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8))


def seed(number):
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def training(**settings):
    return training_transform(Augmentation(**settings), 16, MEAN, STD)


def steps(**settings):
    return [type(step).__name__ for step in training(**settings).transforms]


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
    for transform in (evaluation_transform(16, MEAN, STD), training()):
        found = transform(image)
        assert found.shape == (3, 16, 16)
        torch.testing.assert_close(found.mean(dim=(1, 2)), expected, atol=1e-5, rtol=1e-5)
        assert found.std(dim=(1, 2)).max() < 1e-5


def test_no_colour_jitter_and_no_erasing():
    plain = ["RandomResizedCropAndInterpolation", "MaybeToTensor", "Normalize"]
    assert steps() == plain
    assert steps(flip=0.5) == [plain[0], "RandomHorizontalFlip", *plain[1:]]
    assert steps(randaugment="rand-m5-n2-mstd0.5") == [plain[0], "RandAugment", *plain[1:]]


def test_crops_keep_the_share_of_the_area_that_is_asked_for():
    crop = training(crop_scale=[0.08, 1.0], crop_ratio=[0.5, 2.0]).transforms[0]
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
        augment = training(randaugment=name).transforms[1]
        assert augment.num_layers == number
        assert len(augment.ops) == 15
        assert {operation.magnitude for operation in augment.ops} == {magnitude}
        assert {operation.magnitude_std for operation in augment.ops} == {0.5}
        assert {operation.prob for operation in augment.ops} == {0.5}
