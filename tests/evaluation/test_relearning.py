import torch
from torch import nn

from negmerge.evaluation.accuracy import accuracy
from negmerge.evaluation.durability import relearn_epochs

CPU = torch.device("cpu")
IMAGES = torch.eye(6)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
BATCHES = [(IMAGES[:4], LABELS[:4]), (IMAGES[4:], LABELS[4:])]


def network():
    """A linear network that takes everything for class 0: two of six are right."""
    found = nn.Linear(6, 3)
    with torch.no_grad():
        found.weight.zero_()
        found.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    return found


def relearn(target, epochs=50, rate=0.2, model=None):
    return relearn_epochs(
        model or network(), (BATCHES for _ in range(epochs)), BATCHES, target, rate, CPU
    )


def test_epochs_are_counted_until_the_target_is_reached():
    needed = relearn(6)
    assert needed is not None
    assert needed > 1
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for epoch in range(1, needed + 1):
        for images, labels in BATCHES:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        right = accuracy(model, None, BATCHES, CPU).correct
        assert (right >= 6) == (epoch == needed)


def test_the_limit_is_the_number_of_epochs():
    needed = relearn(6)
    assert relearn(6, epochs=needed) == needed
    assert relearn(6, epochs=needed - 1) is None
    assert relearn(6, epochs=0) is None
    assert relearn(7) is None


def test_the_network_trains_in_training_mode_and_is_counted_in_the_other():
    modes = []

    class Watched(nn.Linear):
        def forward(self, images):
            modes.append(self.training)
            return super().forward(images)

    model = Watched(6, 3)
    model.load_state_dict(network().state_dict())
    assert relearn(6, epochs=1, model=model) is None
    assert modes == [True, True, False, False]
