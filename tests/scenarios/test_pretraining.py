import pytest
import torch
from torch.nn import functional

from negmerge.scenarios.zero_shot import pretraining
from negmerge.scenarios.zero_shot.pretraining import Source, multi_positive_loss, pretrain
from negmerge.settings.recipe import Recipe
from tiny_study import MODEL

CPU = torch.device("cpu")


def features(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(count, 8, generator=generator), dim=-1)


def test_with_all_classes_different_it_is_clip_s_loss():
    image, text, scale = features(5, 0), features(5, 1), torch.tensor(3.0)
    logits = scale * image @ text.T
    places = torch.arange(5)
    expected = (
        functional.cross_entropy(logits, places) + functional.cross_entropy(logits.T, places)
    ) / 2
    found = multi_positive_loss(image, text, scale, torch.tensor([4, 0, 9, 2, 7]))
    torch.testing.assert_close(found, expected)


def test_with_one_class_every_caption_is_right():
    image, text = features(3, 0), features(3, 1)
    logits = image @ text.T
    expected = -(logits.log_softmax(1).mean() + logits.log_softmax(0).mean()) / 2
    found = multi_positive_loss(image, text, torch.tensor(1.0), torch.zeros(3, dtype=torch.long))
    torch.testing.assert_close(found, expected)


@pytest.fixture(scope="module")
def train(prepared):
    sources = [
        Source(prepared, "grey", "train", 1, list("abcd"), ["a {}", "the {}"]),
        Source(prepared, "again", "test", 2, list("wxyz"), ["{}"]),
    ]

    def train(seed=0, weights=0, loaders=0):
        torch.manual_seed(weights)
        recipe = Recipe(epochs=1, batch_size=8, learning_rate=0.01, warmup_steps=1)
        return pretrain(MODEL, sources, recipe, seed, CPU, None, loaders)

    return train


def difference(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


def test_a_base_depends_on_its_seeds_only(train):
    base = train()
    assert not base.training
    assert difference(base, train()) == 0
    assert difference(base, train(loaders=1)) == 0
    assert difference(base, train(seed=1)) > 0
    assert difference(base, train(weights=1)) > 0


def test_every_source_has_classes_of_its_own(train, capsys, monkeypatch):
    seen = []

    def loss(image_features, text_features, scale, labels):
        seen.extend(labels.tolist())
        return multi_positive_loss(image_features, text_features, scale, labels)

    monkeypatch.setattr(pretraining, "multi_positive_loss", loss)
    train()
    # 36 training images of classes 0 to 3; 10 others, twice, of classes 4 to 7.
    assert len(seen) == 56
    assert [label < 4 for label in seen].count(True) == 36
    assert set(seen) == set(range(8))
    assert "step 7/7 " in capsys.readouterr().out
