"""JPEG files that are decoded no larger than a model's input needs."""

import io
import pickle
import random

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resized_crop as torchvision_crop

from negmerge.data.augmentation import evaluation_transform, training_transform
from negmerge.data.drafts import resized_crop
from negmerge.data.fitting import Opened
from negmerge.data.forget import Split, write_split
from negmerge.data.images import Images, encode, write_images
from negmerge.errors import UserError
from negmerge.models.classifiers import build_classifier
from negmerge.scenarios import load_task
from negmerge.settings.compute import Compute
from negmerge.settings.recipe import Augmentation, Recipe
from negmerge.training import fit

PLAIN = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
CROPS = Augmentation(crop_scale=[0.08, 1.0], flip=0.5, interpolation="random")


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
    large, png = photograph(160, 100), photograph(30, 20)
    items = [jpeg(large), jpeg(large.convert("L")), encode(png)]
    parts = [(split, 0, one) for split in ("train", "test") for one in items]
    write_images(tmp_path / "set", parts, {"train": len(items), "test": len(items)}, 1)
    return tmp_path / "set"


def seed():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def decoded_sizes(monkeypatch):
    sizes, decode = [], Opened.decoded
    monkeypatch.setattr(
        Opened, "decoded", lambda self, least: sizes.append(decode(self, least)) or sizes[-1]
    )
    return sizes


def test_only_jpegs_are_left_as_they_are(path):
    images = Images(path, "train", drafts=True)
    assert [isinstance(images[place], Opened) for place in range(3)] == [True, True, False]
    assert pickle.loads(pickle.dumps(images))[0].size == images[0].size == (160, 100)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("size", [25, 50, 60])
def test_what_a_model_sees_is_nearly_the_same(path, place, size, monkeypatch):
    sizes = decoded_sizes(monkeypatch)
    exact, draft = (Images(path, "train", drafts=drafts) for drafts in (False, True))
    for transform in (evaluation_transform(size, *PLAIN), training_transform(CROPS, size, *PLAIN)):
        for number in range(5):
            found = []
            for images in (exact, draft):
                seed()
                random.seed(number)
                found.append(transform(images[place]))
            assert found[1].shape == (3, size, size)
            torch.testing.assert_close(*found, rtol=0, atol=0.12)
            if place == 2:
                assert torch.equal(*found)
    assert all(image.mode == "RGB" for image in sizes)


def test_an_image_is_decoded_no_larger_than_it_must_be(path, monkeypatch):
    sizes, images = decoded_sizes(monkeypatch), Images(path, "train", drafts=True)
    for size in (10, 12, 13, 25, 26, 50, 51, 100):
        evaluation_transform(size, *PLAIN)(images[0])
    assert [image.height for image in sizes] == [13, 13, 25, 25, 50, 50, 100, 100]


@pytest.mark.parametrize("mode", [InterpolationMode.BILINEAR, InterpolationMode.BICUBIC])
@pytest.mark.parametrize("size", [(40, 30), (90, 90)])
def test_a_crop_as_a_tensor_is_that_of_pillow_but_for_rounding(mode, size):
    noise = np.random.default_rng(0).integers(0, 256, (100, 160, 3), np.uint8)
    box = 10, 20, 70, 80, size, mode
    found, expected = (
        np.asarray(crop(Image.fromarray(noise), *box)).astype(int)
        for crop in (resized_crop, torchvision_crop)
    )
    assert found.shape == expected.shape == (*size, 3)
    assert abs(found - expected).max() <= 2
    assert (found != expected).mean() < 0.05


def test_a_crop_has_all_pixels_that_the_model_needs(path, monkeypatch):
    sizes, images = decoded_sizes(monkeypatch), Images(path, "train", drafts=True)
    boxes = []
    monkeypatch.setattr(
        "negmerge.data.drafts.resized_crop",
        lambda image, *box: boxes.append(box) or image.resize((40, 40)),
    )
    transform = training_transform(CROPS, 40, *PLAIN)
    for _ in range(50):
        transform(images[0])
    halves = 0
    for image, (_, _, height, width, *_) in zip(sizes, boxes, strict=True):
        assert image.height == 100 or min(height, width) >= 40
        halves += image.height == 50
    assert 0 < halves < 50


@pytest.mark.parametrize("augmentation", [CROPS, Augmentation(crop_scale=None, padding=2)])
def test_a_classifier_trains_in_the_preset_fast(path, tmp_path, augmentation):
    parts = {"forget": [0, 2], "retain": [1], "validation": [], "original": [0, 1, 2], "test": [0]}
    split = Split(**{name: np.array(part, np.int64) for name, part in parts.items()})
    write_split(tmp_path / "split.json", split)
    row = {"architecture": {"kind": "resnet18", "width": 2}, "size": 16}
    row |= dict(zip(("mean", "std"), PLAIN, strict=True))
    compute = Compute(preset="fast")
    settings = {"name": "classifier", "model": row, "roles": [], "classes": 2}
    settings |= {"compute": compute.model_dump()}
    files, cpu = {"images": str(path), "split": str(tmp_path / "split.json")}, torch.device("cpu")
    scenario = load_task(settings, files, cpu)
    network = scenario.network(build_classifier(row, 2).state_dict(), "new")
    before = network[-1].fc.weight.detach().clone()
    recipe = Recipe(epochs=2, batch_size=2, augmentation=augmentation)
    forget = scenario.role("forget", "train")
    batches = forget.training_batches(recipe, 0)
    loss = forget.objective.loss(network, 0.0)
    fit(network, batches, len(batches), loss, recipe, cpu, fused=compute.fused)
    assert not torch.equal(network[-1].fc.weight, before)


def test_a_broken_file_is_named(tmp_path):
    content = jpeg(photograph(160, 100))
    opened = Opened(content[: len(content) // 2], "set: image 3 of train")
    with pytest.raises(UserError) as caught:
        evaluation_transform(20, *PLAIN)(opened)
    message = str(caught.value)
    assert message.startswith("set: image 3 of train: not a whole image (")
    assert "\n" not in message
