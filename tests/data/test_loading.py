import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from negmerge.data import images as prepared_images
from negmerge.data.augmentation import evaluation_transform, training_transform
from negmerge.data.images import Images
from negmerge.data.loading import (
    Epochs,
    EvaluationBatches,
    Listed,
    Part,
    TrainingBatches,
)
from negmerge.data.preparation import write_images
from negmerge.data.splits import train_val_split
from negmerge.settings.recipe import Augmentation, Recipe

MEAN = STD = (0.5, 0.5, 0.5)
RANDOM = Augmentation(randaugment="rand-m9-n2-mstd0.5", crop_scale=[0.2, 1.0], flip=0.5)
TRANSFORM = training_transform(RANDOM, 8, MEAN, STD)


class Items:
    """Images of noise; the label is the item's number."""

    def __len__(self):
        return 11

    def __getitem__(self, number):
        pixels = np.random.default_rng(number).integers(0, 256, (10, 10, 3), np.uint8)
        return Image.fromarray(pixels), number


def recipe(**settings):
    return Recipe(**{"epochs": 2, "batch_size": 4} | settings)


def load(seed=0, loaders=0, **settings):
    return list(TrainingBatches(Items(), TRANSFORM, recipe(**settings), seed, loaders=loaders))


def labels(batches, epoch=None):
    numbers = torch.cat([batch[1] for batch in batches]).tolist()
    return numbers if epoch is None else numbers[epoch * 11 : (epoch + 1) * 11]


def by_item(batches):
    """The images of each item, in the order of the epochs."""
    images = {}
    for batch in batches:
        for image, label in zip(*batch, strict=True):
            images.setdefault(int(label), []).append(image)
    return images


def assert_same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])


def test_parts_follow_the_split(prepared):
    training, validation = train_val_split(40, "any")
    for part, positions in (("train", training), ("val", validation)):
        items = Part(prepared, part, "any")
        for number, position in enumerate(positions.tolist()):
            image, label = items[number]
            assert (image.getpixel((0, 0))[0], label) == (position * 5, position % 4)


def test_every_epoch_shows_every_item_once_in_an_order_of_its_own():
    batches = load(epochs=3)
    assert [len(batch[1]) for batch in batches] == [4, 4, 3] * 3
    orders = [tuple(labels(batches, epoch)) for epoch in range(3)]
    orders.append(tuple(labels(load(seed=9), 0)))
    assert all(sorted(order) == list(range(11)) for order in orders)
    assert len(set(orders)) == 4


def test_a_fixed_order_is_the_same_in_each_epoch_and_for_each_seed():
    batches = load(fixed_order=True)
    assert labels(batches, 0) == labels(batches, 1)
    assert sorted(labels(batches, 0)) == list(range(11))
    other = load(fixed_order=True, seed=5)
    assert labels(other) == labels(batches)
    # But for the order, seed and epoch still decide.
    assert not torch.equal(other[0][0], batches[0][0])
    assert not torch.equal(batches[3][0], batches[0][0])


def test_an_image_depends_on_seed_epoch_and_item_only():
    images = by_item(load())
    for other in (load(batch_size=3), load(fixed_order=True), load(epochs=3)):
        for item, versions in by_item(other).items():
            assert all(map(torch.equal, images[item], versions))


def test_evaluation_gives_every_item_once_in_its_order():
    transform = evaluation_transform(8, MEAN, STD)
    batches = list(EvaluationBatches(Items(), transform, 4))
    assert labels(batches) == list(range(11))
    assert torch.equal(batches[1][0][0], transform(Items()[4][0]))
    assert_same(list(EvaluationBatches(Items(), transform, 4, loaders=1)), batches)


@pytest.mark.parametrize("loaders", [0, 2])
@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_what_follows_some_batches_is_what_would_have_followed(count, loaders):
    expected = load()[count:]
    # What was drawn before does not matter.
    np.random.seed(5)
    torch.manual_seed(5)
    batches = TrainingBatches(Items(), TRANSFORM, recipe(), 0, loaders=loaders)
    rest = batches.after(count)
    assert len(rest) == len(batches) - count
    assert_same(list(rest), expected)


@pytest.fixture
def items(prepared):
    return Listed(Images(prepared, "train"), range(11))


@pytest.mark.parametrize("fixed_order", [False, True])
def test_epoch_after_epoch_the_batches_are_those_of_training(items, fixed_order):
    chosen = recipe(epochs=3, fixed_order=fixed_order)
    expected = list(TrainingBatches(items, TRANSFORM, chosen, 7))
    epochs = Epochs(items, TRANSFORM, chosen, 7, loaders=2 * fixed_order)
    loaded = [list(epochs) for _ in range(3)]
    assert [len(batches) for batches in loaded] == [len(epochs)] * 3 == [3] * 3
    assert_same([batch for batches in loaded for batch in batches], expected)


def test_items_may_be_changed_at_random_but_stay_in_their_order(items):
    chosen = recipe(batch_size=4)
    epochs = Epochs(items, TRANSFORM, chosen, 3, in_order=True)
    first, second = list(epochs), list(epochs)
    assert labels(first) == labels(second) == [items[n][1] for n in range(len(items))]
    assert not torch.equal(first[0][0], second[0][0])
    assert_same(list(Epochs(items, TRANSFORM, chosen, 3, in_order=True)), first)


@given(st.integers(1, 40), st.integers(1, 50))
def test_thinned_items_are_spread_evenly_and_none_comes_twice(prepared, count, most):
    items = Listed(Images(prepared, "train"), range(count))
    places = items.thinned(most).positions.tolist()
    assert len(places) == min(count, most)
    assert places == sorted(set(places))
    assert places[0] == 0
    assert len(items.thinned(None)) == count
    steps = [after - before for before, after in zip(places, [*places[1:], count], strict=True)]
    assert max(steps) - min(steps) <= 1


def test_jpegs_that_are_only_opened_pass_through_loaders(tmp_path):
    content = io.BytesIO()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(content, "JPEG")
    write_images(tmp_path / "set", [("train", 0, content.getvalue())] * 4, {"train": 4}, 1)
    items = Listed(Images(tmp_path / "set", "train", drafts=True), range(4))
    for augmentation in (RANDOM, *SMALL):
        transform = training_transform(augmentation, 8, MEAN, STD)
        for loaders in (0, 2):
            batches = list(TrainingBatches(items, transform, recipe(), 0, loaders=loaders))
            assert [images.shape for images, _ in batches] == [(4, 3, 8, 8)] * 2


SMALL = [Augmentation(crop_scale=None), Augmentation(crop_scale=None, padding=2, flip=0.5)]


@pytest.mark.parametrize("kept", [2**28, 0])
@pytest.mark.parametrize("size", [8, 12])
@pytest.mark.parametrize("augmentation", SMALL)
def test_images_of_small_transforms_come_as_whole_batches(
    prepared, monkeypatch, kept, size, augmentation
):
    monkeypatch.setattr(prepared_images, "KEPT_BYTES", kept)
    items = Listed(Images(prepared, "train"), [5, 3, 30, 7, 7, 1, 2], first_label=4)
    transform = training_transform(augmentation, size, MEAN, STD)
    plain = evaluation_transform(size, MEAN, STD)
    one_by_one = [items[number] for number in range(len(items))]
    for _ in range(2):  # then out of memory
        batches = TrainingBatches(items, transform, recipe(), 3)
        assert_same(list(batches), list(TrainingBatches(one_by_one, transform, recipe(), 3)))
        evaluated = list(EvaluationBatches(items, plain, 3))
        assert_same(evaluated, list(EvaluationBatches(one_by_one, plain, 3)))
        assert all(images.is_contiguous() for images, _ in evaluated)
