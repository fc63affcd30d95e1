import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from negmerge.data.augmentation import training_transform
from negmerge.data.images import Images
from negmerge.data.loading import Epochs, Listed, TrainingBatches
from negmerge.settings.recipe import Augmentation, Recipe

TRANSFORM = training_transform(
    Augmentation(crop_scale=None, padding=2, flip=0.5), 16, (0.0,) * 3, (1.0,) * 3
)


@pytest.fixture
def items(prepared):
    return Listed(Images(prepared, "train"), range(11))


def recipe(**settings):
    return Recipe(**{"epochs": 3, "batch_size": 4} | settings)


def assert_same(one, other):
    assert len(one) == len(other)
    for (images, labels), (expected, truth) in zip(one, other, strict=True):
        assert torch.equal(images, expected)
        assert torch.equal(labels, truth)


@pytest.mark.parametrize("fixed_order", [False, True])
def test_epoch_after_epoch_the_batches_are_those_of_training(items, fixed_order):
    chosen = recipe(fixed_order=fixed_order)
    expected = list(TrainingBatches(items, TRANSFORM, chosen, 7))
    epochs = Epochs(items, TRANSFORM, chosen, 7)
    found = [list(epochs) for _ in range(3)]
    assert [len(batches) for batches in found] == [len(epochs)] * 3 == [3] * 3
    assert_same([batch for batches in found for batch in batches], expected)


def test_items_may_be_changed_at_random_but_stay_in_their_order(items):
    chosen = recipe(batch_size=4)
    epochs = Epochs(items, TRANSFORM, chosen, 3, in_order=True)
    first, second = list(epochs), list(epochs)
    for found in (first, second):
        assert torch.cat([b[1] for b in found]).tolist() == [items[n][1] for n in range(len(items))]
        assert len(found) == len(epochs) == -(-len(items) // 4)
    assert not torch.equal(torch.cat([b[0] for b in first]), torch.cat([b[0] for b in second]))
    assert_same(list(Epochs(items, TRANSFORM, chosen, 3, in_order=True)), first)


def test_an_epoch_that_is_left_early_counts(items):
    epochs = Epochs(items, TRANSFORM, recipe(), 0)
    next(iter(epochs))
    expected = list(TrainingBatches(items, TRANSFORM, recipe(), 0))[3:6]
    assert_same(list(epochs), expected)


def test_iterating_does_not_end_with_the_recipe(items):
    epochs = Epochs(items, TRANSFORM, recipe(epochs=1), 0)
    assert [len(list(epochs)) for _ in range(3)] == [3, 3, 3]


@given(st.integers(1, 40), st.integers(1, 50))
def test_thinned_items_are_spread_evenly_and_none_comes_twice(prepared, count, most):
    items = Listed(Images(prepared, "train"), range(count))
    found = items.thinned(most).positions.tolist()
    assert len(found) == min(count, most)
    assert found == sorted(set(found))
    assert found[0] == 0
    assert len(items.thinned(None)) == count
    steps = [after - before for before, after in zip(found, [*found[1:], count], strict=True)]
    assert max(steps) - min(steps) <= 1


def test_thinned_items_keep_image_and_label(prepared):
    positions = [30, 3, 21, 12, 7, 9]
    items = Listed(Images(prepared, "train"), positions, first_label=5)
    found = items.thinned(3)
    assert [label for _, label in map(found.__getitem__, range(3))] == [7, 6, 8]
    assert found[1][0].getpixel((0, 0))[0] == 21 * 5


class Loaders:
    """Images whose label is the process that loads them."""

    def __len__(self):
        return 12

    def __getitem__(self, number):
        return Image.new("RGB", (16, 16)), os.getpid()


def test_loader_processes_live_from_epoch_to_epoch():
    epochs = Epochs(Loaders(), TRANSFORM, recipe(), 0, loaders=2)
    first, second = (set(torch.cat([b[1] for b in epochs]).tolist()) for _ in range(2))
    assert first == second
    assert len(first) == 2
    assert os.getpid() not in first


def test_loader_processes_change_no_epoch(items):
    epochs = Epochs(items, TRANSFORM, recipe(), 0, loaders=2)
    next(iter(epochs))
    alone = Epochs(items, TRANSFORM, recipe(), 0)
    next(iter(alone))
    for _ in range(2):
        assert_same(list(epochs), list(alone))
