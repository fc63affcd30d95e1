"""Models under treatment, in a scenario of a few vectors."""

import pytest
import torch
from torch import nn

from negmerge.evaluation.accuracy import Classification
from negmerge.scenarios.durability import change_survival, round_weights, treated_scores
from negmerge.scenarios.task import Role
from negmerge.settings.durability import Durability

CPU = torch.device("cpu")
CHOICE = {"experiment": "a", "task": "t", "method": "negmerge", "criterion": "control"}
RELEARN = {"learning_rate": 0.5, "batch_size": 4, "optimizer": "sgd", "momentum": 0.0}


def network(seed=0, outputs=3):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 2), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, outputs)
    )


class Scenario:
    """A dozen random images to forget and 20 to keep; nobody asks for those to test with."""

    roles = ("forget", "retain", "test")

    def __init__(self):
        generator = torch.Generator().manual_seed(5)
        self.sets = {
            name: [
                (torch.rand(3, 3, 3, generator=generator), number % 3) for number in range(count)
            ]
            for name, count in (("forget", 12), ("retain", 20))
        }
        self.asked = []

    def role(self, name, purpose, most=None):
        self.asked.append((name, purpose, most))
        items = self.sets[name][:most]
        return Role(items, Classification(None, CPU), _same, lambda augmentation: _same)


def _same(image):
    return image


_same.is_random = False


def treated(model=None, base=None, **settings):
    """The record and the single items of a model under treatment."""
    model = model or network()
    base = base or network(1).state_dict()
    chosen = Durability.model_validate({"group_size": 8, "relearn": RELEARN} | settings)
    how = {"batch_size": 5, "seed": 7, "fused": False}
    return treated_scores(Scenario(), model, base, CHOICE, chosen, 0, **how)


def right(model, role):
    """Which images a model has right, one by one."""
    model.eval()
    with torch.no_grad():
        return [int(model(image[None]).argmax()) == label for image, label in Scenario().sets[role]]


def test_each_treatment_starts_from_the_model_as_it_is():
    record, outcomes = treated()
    assert outcomes.place == ("a", "t", "negmerge")
    assert outcomes.criterion == "control"
    for form in ("as_is", "int8", "int4", "nf4"):
        model = network()
        if form != "as_is":
            round_weights(model, form, 8)
        for role in ("forget", "retain"):
            expected = right(model, role)
            assert outcomes.arrays[f"{role}_{form}"].tolist() == expected
            counted = {"correct": sum(expected), "n": len(expected)}
            assert record[f"{role}_{form}"] == counted


def test_relearning_is_plain_training_on_the_forget_set_from_the_model_as_it_is():
    _, outcomes = treated()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    items = Scenario().sets["forget"]
    order = torch.randperm(12, generator=torch.Generator().manual_seed(7)).tolist()
    model.train()
    for start in (0, 4, 8):
        images, labels = zip(*(items[number] for number in order[start : start + 4]), strict=True)
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.stack(images)), torch.tensor(labels))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    for role in ("forget", "retain"):
        assert outcomes.arrays[f"{role}_relearned"].tolist() == right(model, role)
    assert sum(right(model, "forget")) != sum(right(network(), "forget"))


@pytest.mark.parametrize("treatments", [["relearned", "int8"], ["int8", "relearned"]])
def test_relearning_that_diverges_has_no_scores_and_the_others_have(treatments, capsys):
    wild = RELEARN | {"learning_rate": 1e30}
    record, outcomes = treated(treatments=treatments, relearn=wild)
    assert record["forget_relearned"] is record["retain_relearned"] is None
    expected, whole = treated(treatments=treatments)
    names = {f"{role}_{form}" for role in ("forget", "retain") for form in ("as_is", "int8")}
    assert set(outcomes.arrays) == names
    for name in names:
        assert record[name] == expected[name]
        assert (outcomes.arrays[name] == whole.arrays[name]).all()
    assert "relearned: diverged, so it has no scores: " in capsys.readouterr().out


def test_the_record_says_what_was_done():
    record, _ = treated()
    assert record["rounded"] == 4 * 3 * 2 * 2 + 16 * 3
    # With the biases, four numbers of each of 4 channels, and the count of batches.
    assert record["numbers"] == record["rounded"] + 4 + 3 + 16 + 1
    assert (record["group_size"], record["epochs"], record["learning_rate"]) == (8, 1, 0.5)


def test_the_change_is_that_from_the_base():
    record, _ = treated(base=network().state_dict())
    for found in record["survival"].values():
        assert found == {"changed": 0, "large": 0, "moved": 0, "change": 0, "large_change": 0}
    base = network().state_dict()
    moved = network()
    with torch.no_grad():
        moved[3].weight[0, 0] += 10
        moved[3].bias += 10
    found = change_survival(moved, base, "int8", 8)
    assert (found.changed, found.large, found.moved) == (1, 1, 1)
    assert found.change == pytest.approx(10)


def test_a_model_is_taught_a_part_again_and_the_rest_is_scored():
    taught = {"part": {"items": 3, "epochs": 2}, "kept": {"role": "retain"}}
    record, outcomes = treated(treatments=["relearned"], relearn_from=taught)
    assert not {name for name in record if name.endswith("_relearned")}
    assert record["forget_part"]["n"] == 9
    assert record["retain_part"]["n"] == 20
    assert record["forget_kept"]["n"] == 12
    assert len(outcomes.arrays["forget_part"]) == 9
    whole = treated(treatments=["relearned"], relearn_from={"part": {}})[1]
    assert len(whole.arrays["forget_part"]) == 12
