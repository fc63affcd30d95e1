"""What each method minimises, and its slope, against numpy written from the formulas.

The model has left its start, so that the frozen reference is another one than the model. Both have
random weights, the same on every machine, and small ones, so that slopes hardly change in a step.
"""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from answer_examples import FORGET, RETAIN, refusals, run, untrained

from negmerge.data.tokenising import WITHOUT_LOSS
from negmerge.unlearning import METHODS, core
from negmerge.unlearning.methods import two_merged
from negmerge.unlearning.methods.rmu import direction

pytest.importorskip("transformers")

PAIRS = refusals()
SETS = {"forget": FORGET, "retain": RETAIN, "refusal": tuple(part[:, 1] for part in PAIRS)}
OPTIONS = {
    "idk-dpo": {"beta": 0.3},
    "npo": {"beta": 0.2},
    "simnpo": {"beta": 3.0, "delta": 0.5},
    "undial": {"beta": 4.0},
    "wga": {"beta": 1.5},
    "satimp": {"beta1": 2.0, "beta2": 0.5},
}
GAMMA, ALPHA = 1.9, 0.2


@torch.no_grad()
def said(model):
    """Of each set, of each text: log p (places, vocabulary), layer 0 (places, 32), both float64.

    A place has what follows it, so an answer begins one place before its first token.
    """
    result = {}
    for name, (ids, labels) in SETS.items():
        out = model(ids, output_hidden_states=True)
        logits = out.logits.numpy()
        logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        result[name] = [
            text(log, hidden, own.numpy())
            for log, hidden, own in zip(logs, out.hidden_states[1].numpy(), labels, strict=True)
        ]
    return result


def text(logs, hidden, labels):
    places = np.flatnonzero(labels != WITHOUT_LOSS)
    tokens = labels[places]
    answer = logs[places - 1]
    return SimpleNamespace(
        whole=logs[: places[-1] + 1],  # the question, too, but not the padding
        hidden=hidden[places],
        tokens=tokens,
        answer=answer,
        own=answer[range(len(tokens)), tokens],
    )


def tokens_of(texts, part="own"):
    return np.concatenate([getattr(one, part) for one in texts])


def nll(texts):
    return -tokens_of(texts).mean()


def sums(texts):
    return np.array([one.own.sum() for one in texts])


def minus_log_sigmoid(x):
    return np.log1p(np.exp(-x))


def gains(now, start, name):
    return sums(now[name]) - sums(start[name])


def weighed(now, fixed, beta1, beta2):
    p = np.exp(tokens_of(fixed["forget"]))
    return (p**beta1 * (1 - p) ** beta2 * tokens_of(now["forget"])).mean()


def turned(texts, change):
    """Of each answer the softmax of log p with the true token's changed."""
    for one in texts:
        logs = one.answer.copy()
        logs[range(len(one.tokens)), one.tokens] += change
        yield np.exp(logs) / np.exp(logs).sum(1, keepdims=True)


def cross_entropies(targets, texts, first=0):
    """The mean over tokens, from the token `first` of each answer."""
    pairs = zip(targets, texts, strict=True)
    return np.concatenate([-(target * one.answer).sum(1)[first:] for target, one in pairs]).mean()


def apart(texts, targets):
    pairs = zip(texts, targets, strict=True)
    return np.mean([((one.hidden - target) ** 2).mean(1).mean() for one, target in pairs])


def kl(texts, start):
    fixed, own = (tokens_of(part, "whole") for part in (start, texts))
    return (np.exp(fixed) * (fixed - own)).sum(1).mean()


# Of the model, of what of it has no gradient, and of its start.
ON_FORGET = {
    "gradient-ascent": lambda now, fixed, start: -nll(now["forget"]),
    "grad-diff": lambda now, fixed, start: -nll(now["forget"]),
    "kl": lambda now, fixed, start: -nll(now["forget"]),
    "idk-nll": lambda now, fixed, start: nll(now["refusal"]),
    "idk-dpo": lambda now, fixed, start: (
        2 / 0.3
        * minus_log_sigmoid(
            0.3 * (gains(now, start, "refusal") - gains(now, start, "forget"))
        ).mean()
    ),
    "npo": lambda now, fixed, start: (
        2 / 0.2 * minus_log_sigmoid(-0.2 * gains(now, start, "forget")).mean()
    ),
    "simnpo": lambda now, fixed, start: (
        2 / 3
        * np.mean([minus_log_sigmoid(3 * (-one.own.mean() - 0.5)) for one in now["forget"]])
    ),
    "rmu": lambda now, fixed, start: apart(
        now["forget"], [2 * direction(32, seed=0).numpy()] * len(now["forget"])
    ),
    "undial": lambda now, fixed, start: cross_entropies(
        turned(start["forget"], -4), now["forget"]
    ),
    "wga": lambda now, fixed, start: weighed(now, fixed, 1.5, 0),
    "satimp": lambda now, fixed, start: weighed(now, fixed, 2, 0.5),
    "ceu": lambda now, fixed, start: cross_entropies(
        turned(fixed["forget"], -np.inf), now["forget"], first=1
    ),
}  # fmt: skip
ON_RETAIN = {
    "kl": lambda now, start: kl(now["retain"], start["retain"]),
    "rmu": lambda now, start: apart(now["retain"], [one.hidden for one in start["retain"]]),
}
# Whose weights are not options of their names.
WHOLE = {
    "two-merged": lambda now, start: (
        0.4 * 2 / 0.1 * minus_log_sigmoid(0.1 * (nll(now["forget"]) - nll(start["forget"])))
        + 0.4 * kl(now["retain"], start["retain"])
        + 0.2 * nll(now["retain"])
    ),
}  # fmt: skip


def in_double(model):
    return copy.deepcopy(model).double().requires_grad_(False)


def moved(model, way, size):
    """A copy in float64, moved along a direction."""
    result = in_double(model)
    for parameter, part in zip(result.parameters(), way, strict=True):
        parameter += size * part
    return result


def random_direction(model):
    """Random numbers of the shape of each parameter, of length 1 together."""
    generator = torch.Generator().manual_seed(3)
    parts = [torch.randn(p.shape, generator=generator) for p in model.parameters()]
    length = torch.cat([part.flatten() for part in parts]).norm()
    return [part / length for part in parts]


def test_two_changes_are_merged_as_peft_does():
    first, second = [4.0, -1.0, 2.0, 0.5, 3.0], [-3.0, -2.0, 0.1, 0.6, -5.0]
    changes = [torch.tensor(part) for part in (first, second)]
    expected = torch.tensor([4.0, -1.5, 2.0, 0.6, -5.0])
    assert torch.equal(two_merged.merged(changes, 0.8), expected)
    # The merge of the factors of two adapters would be 2 * 3.5.
    assert two_merged.merged([torch.tensor([6.0]), torch.tensor([-4.0])], 1.0).tolist() == [6.0]


def test_what_two_models_changed_is_merged_and_added_to_the_start(monkeypatch):
    starts, size = [], iter((1.0, 2.0))

    def shift(model, *_, **__):
        """Stand for a training: add the same to all numbers."""
        starts.append(copy.deepcopy(model.state_dict()))
        shift = next(size)
        for parameter in model.parameters():
            parameter.data += shift

    monkeypatch.setattr(core, "fit", shift)
    model = run("two-merged", density=1.0, factor=2.0)
    for name, parameter in untrained().named_parameters():
        assert torch.equal(starts[0][name], parameter)
        assert torch.equal(starts[1][name], parameter)
        moved = model.state_dict()[name]
        torch.testing.assert_close(moved, parameter.data + 2 * 1.5, rtol=0, atol=1e-5)


@pytest.fixture
def minimised(monkeypatch):
    """A function that gives the loss that a method minimises, and the model, before any step."""
    caught = []
    monkeypatch.setattr(core, "fit", lambda *arguments, **more: caught.append(arguments[3]))

    def minimised(name, **options):
        model = run(name, model=untrained(std=0.2), **options)
        return caught[0], model

    return minimised


@pytest.mark.parametrize("name", [*ON_FORGET, *WHOLE])
def test_the_loss_and_its_slope_are_the_formula(name, minimised):
    has_both = "alpha" in METHODS[name].options.model_fields
    weights = {"gamma": GAMMA, "alpha": ALPHA} if has_both else {}
    loss, model = minimised(name, **OPTIONS.get(name, {}) | weights)
    start = said(in_double(model))
    model.load_state_dict(moved(model, random_direction(model), 5.0).state_dict())
    fixed = said(in_double(model))

    def formula(now):
        if name in WHOLE:
            return WHOLE[name](now, start)
        result = ON_FORGET[name](now, fixed, start)
        if not has_both:
            return result
        retained = ON_RETAIN.get(name, lambda now, start: nll(now["retain"]))(now, start)
        return GAMMA * result + ALPHA * retained

    batch = PAIRS if METHODS[name].options.refusals else FORGET
    value = loss(*RETAIN, *batch) if has_both or name in WHOLE else loss(*batch)
    assert value.item() == pytest.approx(formula(fixed), rel=1e-5)
    value.backward()
    slopes = [
        torch.zeros_like(p) if p.grad is None else p.grad.double() for p in model.parameters()
    ]
    steepest = torch.cat([slope.flatten() for slope in slopes]).norm()
    way = [slope / steepest for slope in slopes]
    # transformers computes norms in float32, so the step is no smaller.
    above, below = (formula(said(moved(model, way, size))) for size in (5e-4, -5e-4))
    assert (above - below) / 1e-3 == pytest.approx(steepest.item(), rel=2e-3)


def test_ceu_of_answers_of_one_token_is_0(minimised):
    loss, model = minimised("ceu")
    ids, labels = (part.clone() for part in FORGET)
    labels[:, 4:] = WITHOUT_LOSS
    value = loss(ids, labels)
    value.backward()
    assert value.item() == 0
    assert not any(p.grad.any() for p in model.parameters() if p.grad is not None)
