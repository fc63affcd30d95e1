import signal

import pytest
import torch
from torch.nn import functional

from negmerge.errors import UserError
from negmerge.jobs.resuming import SavedState
from negmerge.scenarios.zero_shot import pretraining
from negmerge.scenarios.zero_shot.pretraining import Source, multi_positive_loss, pretrain
from negmerge.settings.recipe import Recipe

CPU = torch.device("cpu")
ROW = {
    "architecture": {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 16, "patch_size": 8, "width": 16, "layers": 1, "head_width": 8,
        },
        "text_cfg": {
            "context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1,
        },
    },
    "size": 16,
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
}  # fmt: skip


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

    def train(seed=0, weights=0, loaders=0, epochs=1, saved=None):
        torch.manual_seed(weights)
        recipe = Recipe(epochs=epochs, batch_size=8, learning_rate=0.01, warmup_steps=1)
        return pretrain(ROW, sources, recipe, seed, CPU, saved, loaders)

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


def test_a_base_that_was_stopped_goes_on_to_the_same_weights(train, tmp_path, monkeypatch, capsys):
    def stopping(*features):
        if len(calls) == 4:
            signal.raise_signal(signal.SIGTERM)
        calls.append(features)
        return multi_positive_loss(*features)

    calls, saved = [], SavedState(tmp_path / "state", {})
    with monkeypatch.context() as during:
        during.setattr(pretraining, "multi_positive_loss", stopping)
        with pytest.raises(UserError, match="after step 5 of 7"):
            train(saved=saved)
    assert difference(train(saved=saved), train()) == 0
    line = f"continuing after step 5 of 7, saved in {saved.path}"
    assert line in capsys.readouterr().out.splitlines()


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
