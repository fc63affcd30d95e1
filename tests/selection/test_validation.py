from dataclasses import asdict, replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from negmerge.checkpoints.states import write_state
from negmerge.data.augmentation import evaluation_transform
from negmerge.data.loading import EvaluationBatches
from negmerge.evaluation.accuracy import Classification, accuracy
from negmerge.selection.choice import Criterion
from negmerge.selection.points import Point
from negmerge.selection.search import CoefficientGrid, explore
from negmerge.selection.validation import (
    RunningMean,
    Validation,
    choose_with_pruning,
    merge_measured,
)
from negmerge.vectors import apply
from second_device import DEVICE, SecondDevice

CPU = torch.device("cpu")
GRID = [0.0, 0.25, 0.5, 0.75, 1.0]
ROLES = ("forget", "control")
CRITERION = Criterion("control", 0.8)


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def as_it_is(image):
    return image


class World:
    """A linear encoder, its images and four vectors, in memory and in files."""

    def __init__(self, folder):
        self.encoder = nn.Linear(5, 3)
        self.base = {"weight": random(3, 5, seed=0), "bias": random(3, seed=1)}
        self.encoder.load_state_dict(self.base)
        self.sets, self.images = {}, {}
        for number, role in enumerate(ROLES):
            images = random(23, 5, seed=2 + number)
            head = random(4, 3, seed=5)
            labels = (self.encoder(images) @ head.T).argmax(dim=1)
            labels[::4] = 3 - labels[::4]
            self.images[role] = images, labels, head
            items = list(zip(images, labels.tolist(), strict=True))
            self.sets[role] = Classification(head, CPU), EvaluationBatches(items, as_it_is, 6)
        self.validation = Validation(self.encoder, self.base, self.sets)
        self.vectors, self.paths = {}, {}
        for number, name in enumerate("abcd"):
            seeds = 130 + 2 * number
            vector = {"weight": random(3, 5, seed=seeds), "bias": random(3, seed=seeds + 1)}
            self.vectors[name] = vector
            self.paths[name] = folder / f"{name}.safetensors"
            write_state(self.paths[name], vector, {})

    def read(self, name):
        return self.vectors[name], name

    def measure(self, name, vector, coefficient):
        """Count everything at once, without batches."""
        encoder = nn.Linear(5, 3)
        encoder.load_state_dict(apply(self.base, vector, -coefficient))
        counts = {
            role: accuracy(encoder, head, [(images, labels)], CPU)
            for role, (images, labels, head) in self.images.items()
        }
        return Point(name, coefficient, counts)

    def sweep(self, name, vector, halvings=0):
        def measure(coefficient):
            return self.measure(name, vector, coefficient)

        return explore(measure(0.0), 0.0, CoefficientGrid(GRID), measure, [CRITERION], halvings)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_the_batches_hold_every_image_and_give_its_answer(world):
    assert world.validation.sizes == {"forget": [6, 6, 6, 5], "control": [6, 6, 6, 5]}
    count = world.validation.counting(world.read)
    for name, vector in world.vectors.items():
        for coefficient in GRID:
            point = world.measure(name, vector, coefficient)
            for role in ROLES:
                counts = [count(name, coefficient, role, batch) for batch in range(4)]
                assert sum(counts) == point.accuracy[role].correct


@pytest.mark.parametrize("halvings", [0, 1])
def test_with_options_too_the_pruned_choice_is_that_of_full_sweeps(world, halvings):
    """The vectors are those of a merge with a grid."""
    for number in range(4):
        options = {name: {"density": (place + number) % 4} for place, name in enumerate("abcd")}
        swept = [
            replace(point, options=options[name])
            for name, vector in world.vectors.items()
            for point in world.sweep(name, vector, halvings)
        ]
        how = world.paths.values(), GRID, [CRITERION], halvings, options
        chosen = choose_with_pruning(world.validation, *how)
        assert chosen.choices == [CRITERION.choose(swept)]
        assert all(point.options == options[point.vector] for point in chosen.points)


def test_choices_with_grids_of_their_own_share_the_passes_of_a_pruned_search(world):
    fine = Criterion("control", 0.8, None, "", GRID, 1)
    coarse = Criterion("coarse", 0.8, None, "control", GRID[::2], 0)
    options = {name: {} for name in "abcd"}
    how = world.validation, list(world.paths.values()), GRID
    both = choose_with_pruning(*how, [fine, coarse], 0, options)
    each = [choose_with_pruning(*how, [criterion], 0, options) for criterion in (fine, coarse)]
    assert both.choices == [choice for chosen in each for choice in chosen.choices]
    assert both.passes < sum(chosen.passes for chosen in each)
    assert both.passes_full == each[0].passes_full
    swept = [
        point
        for name, vector in world.vectors.items()
        for point in explore(
            world.measure(name, vector, 0.0),
            0.0,
            CoefficientGrid(GRID),
            partial(world.measure, name, vector),
            [fine, coarse],
            0,
        )
    ]
    assert both.choices == [fine.choose(swept), coarse.choose(swept)]


def test_a_running_mean_sums_in_the_order_of_the_names(world):
    mean = RunningMean(world.paths)
    a, b, c, d = world.vectors.values()
    for names, expected in [
        ("ab", (a["weight"] + b["weight"]) / 2),
        ("ac", (a["weight"] + c["weight"]) / 2),
        ("acb", (a["weight"] + c["weight"] + b["weight"]) / 3),
        ("acbd", (a["weight"] + c["weight"] + b["weight"] + d["weight"]) / 4),
        ("acb", (a["weight"] + c["weight"] + b["weight"]) / 3),
    ]:
        assert torch.equal(mean(list(names))["weight"], expected)
    assert torch.equal(RunningMean(world.paths)(["d"])["bias"], d["bias"])


@pytest.mark.parametrize(("search_each_step", "halvings"), [(True, 0), (True, 2), (False, 2)])
def test_greedy_merging_of_files(world, search_each_step, halvings):
    how = world.paths, world.validation, GRID, 0.8, halvings
    merged, report = merge_measured("greedy", *how, search_each_step=search_each_step)
    own = {
        name: CRITERION.choose(world.sweep(name, vector, halvings))
        for name, vector in world.vectors.items()
    }
    names = [trial["name"] for trial in report["trials"]]
    assert names == sorted(names, key=lambda name: (own[name].forget_accuracy, name))
    assert report["trials"][0]["choice"] == asdict(own[names[0]])
    accepted = [world.vectors[name] for name in report["accepted"]]
    for key in ("weight", "bias"):
        assert torch.equal(merged[key], sum(one[key] for one in accepted) / len(accepted))
    # What the merge reaches is what its last accepted trial has found.
    trials = [trial["choice"] for trial in report["trials"]]
    if search_each_step:
        last = [trial["choice"] for trial in report["trials"] if trial["accepted"]][-1]
        expected = asdict(CRITERION.choose(world.sweep("greedy", merged, halvings)))
        assert last | {"vector": "greedy"} == expected
        assert len(report["accepted"]) == (1 if halvings else 2)
    else:
        assert {trial["coefficient"] for trial in trials} <= {0.0, trials[0]["coefficient"]}


def test_the_mean_of_the_best_is_that_of_the_number_of_vectors_that_forgets_most(world):
    merged, report = merge_measured("mean-best", world.paths, world.validation, GRID, 0.8)
    own = {n: CRITERION.choose(world.sweep(n, v, 0)) for n, v in world.vectors.items()}
    best = sorted(own, key=lambda n: (own[n].forget_accuracy, own[n].coefficient, n))
    reached = {}
    for count in (1, 2, 3, 4):
        names = sorted(best[:count])
        mean = {
            key: sum(world.vectors[name][key] for name in names) / count
            for key in ("weight", "bias")
        }
        forget = CRITERION.choose(world.sweep("mean", mean, 0)).forget_accuracy
        reached[count] = forget, count, names, mean
    assert {len(t["names"]): t["choice"]["forget_accuracy"] for t in report["trials"]} == {
        count: forget for count, (forget, *_) in reached.items()
    }
    _, _, names, mean = min(reached.values(), key=lambda one: one[:2])
    assert report["accepted"] == names
    assert all(torch.equal(merged[key], mean[key]) for key in mean)


TRANSFORM = evaluation_transform(8, (0.48, 0.45, 0.4), (0.26, 0.27, 0.28))


def pictures(count):
    noise = np.random.default_rng(count).integers(0, 256, (count, 9, 12, 3), np.uint8)
    return [(Image.fromarray(pixels), number % 3) for number, pixels in enumerate(noise)]


def measured(items, transform, device=CPU):
    """What is kept of the items, and the logits of the base and beside it, in their order."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    base = {"1.weight": random(3, 192, seed=0), "1.bias": random(3, seed=1)}
    network.load_state_dict(base)
    vector = {"1.weight": random(3, 192, seed=2), "1.bias": random(3, seed=3)}
    logits = []
    validation = Validation(
        network.to(device),
        base,
        {
            role: (
                Classification(None, device),
                EvaluationBatches(items[role], transform, 4, device=device),
            )
            for role in items
        },
        further=lambda found: logits.extend(part[0] for part in found.values()) or {},
    )
    vector = validation.placed(vector)
    for coefficient in (0.0, 0.3, 0.7):
        validation.move(vector, coefficient, "vector")
        validation.measure("vector", coefficient)
    return [one.items for one in validation._sets.values()], logits


ITEMS = {"forget": pictures(11), "control": pictures(9)}


def test_images_are_kept_as_uint8_and_give_the_bits_of_float32():
    kept, logits = measured(ITEMS, TRANSFORM)
    as_floats = {
        role: [(TRANSFORM(image), label) for image, label in items] for role, items in ITEMS.items()
    }
    kept_as_floats, expected = measured(as_floats, as_it_is)
    assert [one.element_size() for one in kept] == [1, 1]
    assert [one.shape for one in kept] == [(11, 3, 8, 8), (9, 3, 8, 8)]
    assert [one.element_size() for one in kept_as_floats] == [4, 4]
    assert len(logits) == len(expected) == 6
    assert all(torch.equal(*pair) for pair in zip(logits, expected, strict=True))


def test_items_base_and_vector_lie_on_the_device_and_give_the_cpus_bits():
    """A second device stands in for a GPU; it refuses to compute with a tensor of the CPU."""
    _, expected = measured(ITEMS, TRANSFORM)
    with SecondDevice():
        kept, logits = measured(ITEMS, TRANSFORM, DEVICE)
    assert all(one.device == DEVICE and one.dtype == torch.uint8 for one in kept)
    assert all(torch.equal(*pair) for pair in zip(logits, expected, strict=True))
