"""Methods for language models, on a Llama of a few thousand numbers that knows its answers."""

import dataclasses
import functools
import math

import pytest
import torch
from torch.nn.functional import logsigmoid
from unlearning_examples import (
    CPU,
    Batches,
    Unreadable,
    example_recipe,
    numbers,
    same_bytes,
    unlearn,
)

from negmerge.data.answer_tokens import WITHOUT_LOSS
from negmerge.errors import UserError
from negmerge.evaluation.answering import Answering
from negmerge.training import fit
from negmerge.unlearning import METHODS, Data
from negmerge.unlearning import passes as passing
from negmerge.unlearning.methods.rmu import direction, distance
from negmerge.unlearning.passes import passes
from negmerge.unlearning.tokens import hidden_of, score
from small_language_models import VOCABULARY, language_model

pytest.importorskip("transformers")

NAMES = [name for name in METHODS if "language" in METHODS[name].options.scenarios]
OPTIONS = {"epochs": 2, "learning_rate": 3e-3}
OWN = {"rmu": {"layer": 0}}


def texts(count, seed):
    """Ids and labels (count, 8): three tokens of a question, two to four of an answer, an end."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCABULARY, (count, 8), generator=generator)
    labels = ids.clone()
    labels[:, :3] = WITHOUT_LOSS
    for row in range(count):
        end = 5 + row % 3
        ids[row, end] = labels[row, end] = 2
        ids[row, end + 1 :], labels[row, end + 1 :] = 0, WITHOUT_LOSS
    return ids, labels


FORGET, RETAIN = texts(6, 1), texts(14, 2)
REFUSAL = torch.tensor([50, 51, 52, 2, 0])


def refusals():
    """Pairs of the answers to forget and of one refusal, to the same questions."""
    ids, labels = (part.clone() for part in FORGET)
    ids[:, 3:] = labels[:, 3:] = REFUSAL
    labels[:, 7] = WITHOUT_LOSS
    return torch.stack([FORGET[0], ids], 1), torch.stack([FORGET[1], labels], 1)


def example_data(seed=0):
    forget, retain = Batches(*FORGET, size=3, shuffle=True), Batches(*RETAIN, size=3, shuffle=True)
    closed = [Unreadable()] * 3
    pairs = Batches(*refusals(), size=3, shuffle=True)
    return Data(forget, retain, *closed, Answering(CPU), classes=0, seed=seed, refusals=pairs)


@functools.cache
def known_weights():
    """Weights that give all answers a probability above 0.9."""
    model = language_model(hidden_size=32, num_hidden_layers=2, intermediate_size=48)
    recipe = example_recipe(epochs=120, learning_rate=5e-3, optimizer="adamw")
    both = Batches(*(torch.cat(pair) for pair in zip(FORGET, RETAIN, strict=True)), shuffle=True)
    loss = Answering(CPU).loss(model, 0.0)
    fit(model, passes(both, 120), 120 * len(both), loss, recipe, CPU, report=lambda line: None)
    assert all(probability(model, *part) > 0.9 for part in (FORGET, RETAIN))
    return model.state_dict()


def knowing():
    model = language_model(hidden_size=32, num_hidden_layers=2, intermediate_size=48)
    model.load_state_dict(known_weights())
    return model


@torch.no_grad()
def losses(model, ids, labels):
    """L of each answer."""
    return score(model, ids, labels).losses


@torch.no_grad()
def steered(model, ids, labels):
    """How far the first layer is from RMU's target."""
    target = 2.0 * direction(32, seed=0)
    return distance(hidden_of(model, ids, 0), target, labels).item()


@torch.no_grad()
def probability(model, ids, labels):
    """The mean over answers of exp(-L)."""
    return losses(model.eval(), ids, labels).neg().exp().mean().item()


def run(name, data=None, **options):
    recipe = example_recipe(optimizer="adamw", weight_decay=0.01)
    options = OPTIONS | OWN.get(name, {}) | options
    return unlearn(name, knowing(), data or example_data(), recipe, **options)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bytes_and_other_weights_than_before(name):
    torch.manual_seed(1)
    one = run(name)
    torch.manual_seed(2)
    assert same_bytes(one, run(name))
    assert not same_bytes(one, knowing())
    assert all(parameter.requires_grad for parameter in one.parameters())


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("finetune", "rmu")])
def test_answers_to_forget_become_less_probable(name):
    options = {"epochs": 6, **({"alpha": 0.5} if name == "neggrad-plus" else {})}
    assert probability(run(name, **options), *FORGET) < probability(knowing(), *FORGET) - 0.05


def loss_of(monkeypatch, name, **options):
    """The model, and the loss that a method would train it with."""
    losses = []

    def spy(model, stream, count, loss, *rest, **more):
        losses.append(loss)

    monkeypatch.setattr(passing, "fit", spy)
    return run(name, **options), losses[0]


def likelihood(model, ids, labels):
    return model(ids, labels=labels).loss.item()


FORGOTTEN = {
    "grad-diff": lambda model: -likelihood(model, *FORGET),
    "kl": lambda model: -likelihood(model, *FORGET),
    "idk-nll": lambda model: likelihood(model, *(part[:, 1] for part in refusals())),
    # The model is still the reference.
    "idk-dpo": lambda model: 2 / 0.1 * math.log(2),
    "npo": lambda model: 2 / 0.1 * math.log(2),
    "simnpo": lambda model: -(2 / 4.5 * logsigmoid(4.5 * losses(model, *FORGET)).mean().item()),
    "rmu": lambda model: steered(model, *FORGET),
    "undial": None,
    "wga": None,
    "satimp": None,
}


@pytest.mark.parametrize("name", FORGOTTEN)
def test_the_loss_at_the_start_is_that_of_both_sets_with_their_weights(name, monkeypatch):
    pair = refusals() if METHODS[name].options.refusals else FORGET
    with torch.no_grad():
        model, alone = loss_of(monkeypatch, name, gamma=1.0, alpha=0.0)
        forgotten = alone(*pair).item()
        if FORGOTTEN[name]:
            assert forgotten == pytest.approx(FORGOTTEN[name](model), rel=1e-4)
        model, both = loss_of(monkeypatch, name, gamma=2.0, alpha=3.0)
        # KL and RMU hold the model where it is, the others the answers to retain.
        retained = 0.0 if name in ("kl", "rmu") else likelihood(model, *RETAIN)
        found = both(*RETAIN, *pair).item()
    assert found == pytest.approx(2 * forgotten + 3 * retained, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_method_reads_only_what_it_says(name):
    options = METHODS[name].check(name, OWN.get(name, {}))
    data = example_data()
    closed = {}
    if options.data_used == "forget":
        closed["retain"] = Unreadable()
    if options.data_used == "retain" or options.refusals:
        closed["forget"] = Unreadable()
    if not options.refusals:
        closed["refusals"] = None
    run(name, dataclasses.replace(data, **closed))
    if options.data_used == "all":
        assert data.retain.epochs > 0
    if options.refusals:
        assert data.refusals.epochs > 0


@pytest.mark.parametrize("name", ["npo", "idk-nll"])
def test_without_weight_the_retain_set_is_not_read(name):
    data = dataclasses.replace(example_data(), retain=Unreadable())
    run(name, data, alpha=0.0)


def test_refusals_become_probable():
    before, after = (
        probability(model, *(part[:, 1] for part in refusals()))
        for model in (knowing(), run("idk-nll", epochs=10))
    )
    assert after > before + 0.3


def test_gradient_ascent_and_grad_diff_without_retain_set_are_the_same():
    assert same_bytes(run("gradient-ascent"), run("grad-diff", alpha=0.0))


def test_grad_diff_is_neggrad_plus_where_both_have_the_same_batches():
    data = dataclasses.replace(
        example_data(), forget=Batches(*RETAIN, size=3), retain=Batches(*RETAIN, size=3)
    )
    # Half the loss has half the gradient, which plain SGD makes up for with twice the rate.
    recipe = example_recipe(weight_decay=0.0)
    balanced, halved = (
        unlearn(name, knowing(), data, recipe, epochs=2, learning_rate=rate, alpha=alpha)
        for name, rate, alpha in (("grad-diff", 1e-3, 1.0), ("neggrad-plus", 2e-3, 0.5))
    )
    torch.testing.assert_close(numbers(balanced), numbers(halved), rtol=0, atol=1e-6)


def test_wga_without_power_is_grad_diff_and_satimp_without_the_second_is_wga():
    forget, retain = Batches(*FORGET, size=3), Batches(*RETAIN, size=3)
    data = dataclasses.replace(example_data(), forget=forget, retain=retain)
    same = {"gamma": 1.0, "alpha": 1.0}
    diff, plain = run("grad-diff", data, **same), run("wga", data, beta=0.0, **same)
    torch.testing.assert_close(numbers(diff), numbers(plain), rtol=0, atol=1e-4)
    weighed = run("wga", data, beta=2.0, **same)
    assert same_bytes(weighed, run("satimp", data, beta1=2.0, beta2=0.0, **same))
    assert not same_bytes(weighed, plain)


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_counted_as_the_options_say(name, monkeypatch):
    counts = []

    def spy(model, stream, count, *rest, **more):
        counts.append(count)

    monkeypatch.setattr(passing, "fit", spy)
    run(name, epochs=3)
    batches = {"forget": 2, "retain": 5}
    passes_of = METHODS[name].check(name, {}).passes
    assert counts == [3 * sum(batches[part] for part in passes_of)]


def test_rmu_needs_a_layer_of_the_model():
    with pytest.raises(UserError, match=r"^rmu: layer 7, expected one of 0..1$"):
        unlearn("rmu", knowing(), example_data())


@torch.no_grad()
def test_rmu_draws_the_layer_to_the_direction_and_holds_it_for_the_rest():
    before = knowing()
    with torch.enable_grad():
        after = run("rmu", epochs=10)
    assert steered(after, *FORGET) < steered(before, *FORGET) / 2
    start = hidden_of(before, RETAIN[0], 0)
    moved = distance(hidden_of(after, RETAIN[0], 0), start, RETAIN[1])
    assert moved < steered(before, *RETAIN) / 4


@pytest.mark.parametrize("name", ["npo", "grad-diff"])
def test_an_empty_forget_set_is_refused(name):
    data = dataclasses.replace(example_data(), forget=Batches(*texts(0, 1)))
    with pytest.raises(UserError, match="the forget set is empty"):
        run(name, data)


def test_an_empty_retain_set_is_refused():
    data = dataclasses.replace(example_data(), retain=Batches(*texts(0, 1)))
    with pytest.raises(UserError, match=r"^unlearning: the retain set is empty$"):
        run("npo", data)
