"""Methods for language models, on a Llama of a few thousand numbers."""

import dataclasses

import pytest
import torch
from answer_examples import NAMES, OWN, example_data, run, untrained
from unlearning_examples import Unreadable, same_bytes, unlearn

from negmerge.errors import UserError
from negmerge.unlearning import METHODS, core

pytest.importorskip("transformers")


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bytes_and_other_weights_than_before(name):
    torch.manual_seed(1)
    one = run(name)
    torch.manual_seed(2)
    assert same_bytes(one, run(name))
    assert not same_bytes(one, untrained())
    assert all(parameter.requires_grad for parameter in one.parameters())


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


def test_gradient_ascent_and_grad_diff_without_retain_set_are_the_same():
    data = dataclasses.replace(example_data(), retain=Unreadable())
    assert same_bytes(run("gradient-ascent"), run("grad-diff", data, alpha=0.0))


@pytest.mark.parametrize("name", NAMES)
def test_steps_are_counted_as_the_options_say(name, monkeypatch):
    counts = []

    def spy(model, stream, count, *rest, **more):
        counts.append(count)

    monkeypatch.setattr(core, "fit", spy)
    run(name, epochs=3)
    batches = {"forget": 2, "retain": 5}
    passes_of = METHODS[name].check(name, {}).passes
    assert sum(counts) == 3 * sum(batches[part] for part in passes_of)


def test_rmu_needs_a_layer_of_the_model():
    with pytest.raises(UserError, match=r"^rmu: layer 7, expected one of 0..1$"):
        unlearn("rmu", untrained(), example_data())
