from dataclasses import asdict

import pytest
import torch
from torch import nn

from negmerge.errors import UserError
from negmerge.evaluation.accuracy import accuracy
from negmerge.evaluation.greedy import RunningMean, merge_greedily
from negmerge.evaluation.search import search
from negmerge.evaluation.validation import Validation
from negmerge.selection import Sweep, choose
from negmerge.states import write_state
from negmerge.vectors import apply

CPU = torch.device("cpu")
GRID = [0.0, 0.25, 0.5, 0.75, 1.0]
ROLES = ("forget", "control")


def random(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


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
            batches = list(zip(images.split(6), labels.split(6), strict=True))
            self.sets[role] = head, batches
        self.validation = Validation(self.encoder, self.base, self.sets, CPU)
        self.vectors, self.paths = {}, {}
        for number, name in enumerate("abcd"):
            seeds = 130 + 2 * number
            vector = {"weight": random(3, 5, seed=seeds), "bias": random(3, seed=seeds + 1)}
            self.vectors[name] = vector
            self.paths[name] = folder / f"{name}.safetensors"
            write_state(self.paths[name], vector, {})

    def read(self, name):
        return self.vectors[name], name

    def sweep(self, vector):
        """Count everything at once, without batches."""
        found = {role: [] for role in ROLES}
        for coefficient in GRID:
            encoder = nn.Linear(5, 3)
            encoder.load_state_dict(apply(self.base, vector, -coefficient))
            for role, (images, labels, head) in self.images.items():
                counts = accuracy(encoder, head, [(images, labels)], CPU)
                found[role].append(counts.correct / counts.n)
        return Sweep(GRID, found["forget"], found["control"])


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_the_batches_hold_every_image_and_give_its_answer(world):
    assert world.validation.sizes == {"forget": [6, 6, 6, 5], "control": [6, 6, 6, 5]}
    count = world.validation.counting(world.read)
    for name, vector in world.vectors.items():
        sweep = world.sweep(vector)
        for place, coefficient in enumerate(GRID):
            for role in ROLES:
                counts = [count(name, coefficient, role, batch) for batch in range(4)]
                assert sum(counts) == round(23 * getattr(sweep, role)[place])


def test_the_batches_that_tell_most_come_first(world):
    count = world.validation.counting(world.read)
    forget, control = ([count("a", 0.0, role, b) for b in range(4)] for role in ROLES)
    assert forget == sorted(forget, reverse=True) != control
    assert control[:3] == sorted(control[:3])


def test_the_pruned_search_chooses_as_full_sweeps_do(world):
    count = world.validation.counting(world.read)
    sweeps = {name: world.sweep(vector) for name, vector in world.vectors.items()}
    for names in (["a"], ["b"], ["c"], ["d"], ["a", "b", "c", "d"]):
        found = search(names, GRID, world.validation.sizes, count, 0.8)
        assert found.choice == choose({name: sweeps[name] for name in names}, 0.8)
        assert found.images < found.images_full


def test_a_vector_that_does_not_fit_is_named(world):
    count = world.validation.counting(lambda name: ({"weight": torch.zeros(3, 5)}, "m.safetensors"))
    with pytest.raises(UserError, match=r"^m.safetensors: tensor 'bias' is missing"):
        count("m", 0.5, "forget", 0)


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


@pytest.mark.parametrize("research", [True, False])
def test_greedy_merging_of_files(world, research):
    merged, report = merge_greedily(world.paths, world.validation, GRID, 0.8, research=research)
    own = {name: choose({name: world.sweep(v)}, 0.8) for name, v in world.vectors.items()}
    names = [trial["name"] for trial in report["trials"]]
    assert names == sorted(names, key=lambda name: (own[name].forget_accuracy, name))
    assert report["trials"][0]["choice"] == asdict(own[names[0]])
    accepted = [world.vectors[name] for name in report["accepted"]]
    for key in ("weight", "bias"):
        assert torch.equal(merged[key], sum(one[key] for one in accepted) / len(accepted))
    # What the merge reaches is what its last accepted trial has found.
    trials = [trial["choice"] for trial in report["trials"]]
    if research:
        last = [trial["choice"] for trial in report["trials"] if trial["accepted"]][-1]
        assert last == asdict(choose({"greedy": world.sweep(merged)}, 0.8))
        assert len(report["accepted"]) == 2
    else:
        assert {trial["coefficient"] for trial in trials} <= {0.0, trials[0]["coefficient"]}
