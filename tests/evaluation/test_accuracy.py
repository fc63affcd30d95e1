import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from negmerge.evaluation.accuracy import Accuracy, accuracy

CPU = torch.device("cpu")


def count(features, labels, head, batch):
    batches = [
        (features[start : start + batch], labels[start : start + batch])
        for start in range(0, len(features), batch)
    ]
    return accuracy(nn.Identity(), head, batches, CPU)


@given(st.integers(1, 9))
def test_right_answers_are_counted_whatever_the_batches(batch):
    generator = torch.Generator().manual_seed(batch)
    features = torch.randn(8, 3, generator=generator)
    head = torch.randn(4, 3, generator=generator)
    labels = torch.randint(4, (8,), generator=generator)
    expected = int(((features @ head.T).argmax(dim=1) == labels).sum())
    assert count(features, labels, head, batch) == Accuracy(expected, 8)


def test_the_first_of_equal_classes_is_the_answer():
    head = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    features = torch.tensor([[1.0, 0.0]] * 3)
    assert count(features, torch.tensor([0, 1, 2]), head, 2) == Accuracy(1, 3)


def test_a_model_is_evaluated_without_dropout_and_gradients():
    class Encoder(nn.Module):
        def forward(self, images):
            assert not self.training
            assert not torch.is_grad_enabled()
            return images

    features = torch.eye(2)
    batches = [(features, torch.tensor([0, 1]))]
    assert accuracy(Encoder().train(), features, batches, CPU) == Accuracy(2, 2)
