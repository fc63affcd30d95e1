"""Each method on a small classifier; language models are in test_language_methods.py."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from unlearning_examples import (
    CLASSES,
    IMAGES,
    Batches,
    Unreadable,
    conv_net,
    example_data,
    example_recipe,
    images,
    same_bytes,
    statistics,
    unlearn,
)

from negmerge.errors import UserError
from negmerge.unlearning import METHODS, core, recipe_for
from negmerge.unlearning.methods import boundary_expand, random_label, scrub
from negmerge.unlearning.methods.boundary_shrink import adversarial_images, nearest_labels
from negmerge.unlearning.methods.perta import importances
from negmerge.unlearning.methods.ssd import dampen, importance
from refusals import refused

# Those that move along vectors are in test_vector_methods.py.
WITHOUT_VECTORS = [name for name in METHODS if METHODS[name].options.vectors == "none"]
FOR_IMAGES = [n for n in WITHOUT_VECTORS if "classifier" in METHODS[n].options.scenarios]
TRAINING = [name for name in FOR_IMAGES if "epochs" in METHODS[name].options.model_fields]
# SSD changes nothing on so small a model unless it selects more weights than usual.
SHORT = {name: {"epochs": 1, "learning_rate": 0.05} for name in TRAINING} | {"ssd": {"alpha": 1.0}}


def run(name, seed=0, model=None, **options):
    model = model or conv_net()
    return unlearn(name, model, example_data(seed), **SHORT.get(name, {}) | options)


def test_what_a_method_reads_and_passes_over_follows_from_its_options():
    def told(name, **options):
        checked = METHODS[name].check(name, options)
        return checked.data_used, checked.passes, checked.batches_per_step

    assert told("salun") == ("all", ("forget", "retain"), 1)
    assert told("random-label", retain=False) == ("forget", ("forget",), 1)
    assert told("npo", alpha=0) == ("forget", ("forget",), 1)
    assert told("undial", alpha=5) == ("all", ("forget",), 2)
    assert told("neggrad-plus") == ("all", ("retain",), 2)
    recipe = example_recipe(epochs=7, learning_rate=0.7, momentum=0.5)
    options = METHODS["salun"].check("salun", {"epochs": 3, "learning_rate": 0.25})
    changed = {"epochs": 3, "learning_rate": 0.25}
    assert recipe_for(recipe, options) == recipe.model_copy(update=changed)
    assert recipe_for(recipe, METHODS["ssd"].check("ssd", {})) == recipe


@pytest.mark.parametrize("name", FOR_IMAGES)
def test_a_method_changes_the_model_and_the_same_seed_gives_the_same_bytes(name):
    def dropping():
        *layers, linear = conv_net()
        return nn.Sequential(*layers, nn.Dropout(0.5), linear)

    torch.manual_seed(1)
    one = run(name, model=dropping())
    torch.manual_seed(2)
    other = run(name, model=dropping())
    assert same_bytes(one, other)
    assert not same_bytes(one, dropping())
    assert all(torch.isfinite(tensor).all() for tensor in one.state_dict().values())


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {}) for name in FOR_IMAGES]
    + [(name, {"retain": False}) for name in ("random-label", "salun")],
)
def test_a_method_reads_only_the_images_that_it_says(name, options):
    method, options = METHODS[name], SHORT.get(name, {}) | options
    used, data = method.check(name, options).data_used, example_data()
    if used != "all":
        other = {"forget": "retain", "retain": "forget"}[used]
        names = (other, f"{other}_in_order", *(["retain_augmented"] if used == "forget" else []))
        data = dataclasses.replace(data, **dict.fromkeys(names, Unreadable()))
    unlearn(name, conv_net(), data, **options)
    for part in ("forget", "retain") if used == "all" else (used,):
        assert getattr(data, part).epochs + getattr(data, f"{part}_in_order").epochs > 0


@pytest.mark.parametrize("name", ["random-label", "salun", "boundary-expand"])
def test_what_is_drawn_at_random_depends_on_the_seed(name):
    assert not same_bytes(run(name, seed=0), run(name, seed=1))


@pytest.mark.parametrize("name", ["influence", "ssd"])
def test_methods_that_do_not_train_use_evaluation_mode(name):
    model = conv_net().train()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    run(name, model=model)
    assert torch.equal(statistics(model), statistics(conv_net()))
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert same_bytes(model, run(name, model=conv_net().eval()))


@pytest.mark.parametrize("name", TRAINING)
def test_a_diverged_run_ends_in_an_error_that_says_so(name):
    # The rate of one step can ruin the weights without a loss that shows it.
    options = {"epochs": 3, "learning_rate": 1e38}
    line = refused(lambda: unlearn(name, conv_net(), example_data(), **options))
    assert "lower the rate" in line


def test_an_influence_step_that_overflows_is_refused():
    with pytest.raises(UserError, match=r"^influence with alpha 1e\+60: tensor '\S+'"):
        run("influence", alpha=1e60)


@given(st.integers(0, 2**31 - 1), st.integers(0, 50))
def test_random_labels_come_from_all_classes_and_from_the_seed(seed, epoch):
    batches = [(torch.zeros(50, 1), torch.full((50,), 2)) for _ in range(2)]

    def draw(epoch):
        drawn = random_label.with_random_labels(batches, 3, seed, epoch)
        return torch.cat([labels for _, labels in drawn])

    assert torch.equal(draw(epoch), draw(epoch))
    assert draw(epoch).dtype == torch.int64
    assert set(draw(epoch).tolist()) == {0, 1, 2}  # 2, the true one, too
    assert not torch.equal(draw(epoch), draw(epoch + 1))


def trained_on(monkeypatch, module, name, **options):
    """The data of a method, and the batches that it trains on."""
    batches = []

    def spy(model, stream, count, *rest, **more):
        batches.extend(stream)
        assert len(batches) == count

    monkeypatch.setattr(module, "fit", spy)
    data = example_data()
    unlearn(name, conv_net(), data, **options)
    return data, batches


@pytest.mark.parametrize("name", ["random-label", "salun"])
def test_an_epoch_is_a_pass_over_the_forget_set_and_then_one_over_the_retain_set(name, monkeypatch):
    data, batches = trained_on(monkeypatch, random_label, name, epochs=2)
    assert [len(batch[0]) for batch in batches] == [8, 4, 8, 8, 8, 4] * 2
    first, second = batches[:2], batches[6:8]
    assert not torch.equal(first[0][1], second[0][1])  # redrawn
    # The retain set has its own labels.
    labels = torch.cat([labels for _, labels in batches[2:6]]).tolist()
    assert sorted(labels) == sorted(data.retain.labels.tolist())
    _, batches = trained_on(monkeypatch, random_label, name, epochs=2, retain=False)
    assert [len(batch[0]) for batch in batches] == [8, 4] * 2


def test_expanding_leaves_the_other_rows_and_needs_a_linear_layer():
    model = conv_net()
    assert boundary_expand.expand(model, seed=3) == CLASSES
    for name in ("weight", "bias"):
        old, new = getattr(conv_net()[5], name), getattr(model[5], name)
        assert torch.equal(new[:-1], old)
        assert new.requires_grad
        assert new[-1].abs().max() <= 5**-0.5
    without = nn.Linear(5, 2, bias=False)  # a model may be its own last layer
    assert boundary_expand.expand(without, seed=3) == 2
    assert torch.equal(without.weight[-1], model[5].weight[-1])
    with pytest.raises(UserError, match=r"Sequential has no layer torch\.nn\.Linear"):
        boundary_expand.expand(nn.Sequential(nn.Conv2d(3, 2, 1)), seed=0)


def test_neggrad_plus_takes_forget_batches_round_and_round(monkeypatch):
    data, batches = trained_on(monkeypatch, core, "neggrad-plus", epochs=2)
    assert [len(batch[0]) for batch in batches] == [8, 8, 8, 4] * 2
    assert [len(batch[2]) for batch in batches] == [8, 4] * 4
    assert data.forget.epochs == 4


@pytest.mark.parametrize("part", ["forget", "retain"])
def test_an_empty_set_is_refused(part):
    data = dataclasses.replace(example_data(), **{part: Batches(*images(0, 1))})
    with pytest.raises(UserError, match=rf"^unlearning: the {part} set is empty$"):
        unlearn("grad-diff", conv_net(), data)


def minimised(monkeypatch, module, name, **options):
    """The loss that a method minimises, after its model has left the start, and both models."""
    caught, start, model = [], conv_net(), conv_net()
    monkeypatch.setattr(module, "fit", lambda *arguments, **more: caught.append(arguments[3]))
    unlearn(name, model, example_data(), **options)
    model.load_state_dict(conv_net(seed=1).state_dict())
    return caught[0], start.eval(), model.eval()


def test_boundary_shrink_takes_the_labels_of_the_frozen_original(monkeypatch):
    loss, start, model = minimised(monkeypatch, core, "boundary-shrink")
    pictures, labels = images(30, 5)
    expected = nearest_labels(start, adversarial_images(start, pictures, labels, 0.1))
    moving = nearest_labels(model, adversarial_images(model, pictures, labels, 0.1))
    assert not torch.equal(expected, moving)  # so it matters whose they are
    value = loss(pictures, labels)
    torch.testing.assert_close(value, functional.cross_entropy(model(pictures), expected))


def test_neggrad_plus_weighs_the_loss_of_the_rest_against_that_of_the_forget_set(monkeypatch):
    loss, _, model = minimised(monkeypatch, core, "neggrad-plus", alpha=0.7)
    retain, forget = images(9, 5), images(4, 6)
    kept, lost = (functional.cross_entropy(model(x), y) for x, y in (retain, forget))
    torch.testing.assert_close(loss(*retain, *forget), 0.7 * kept - 0.3 * lost)


def test_scrub_raises_the_divergence_from_the_original_and_lowers_it(monkeypatch):
    options = {"gamma": 0.5, "alpha": 0.25, "temperature": 3.0}
    loss, start, model = minimised(monkeypatch, scrub, "scrub", **options)
    pictures, labels = images(9, 5)
    apart = scrub.divergence(model(pictures), start(pictures), 3.0)
    assert apart > 0
    torch.testing.assert_close(loss(pictures, labels, True), -apart)
    entropy = functional.cross_entropy(model(pictures), labels)
    torch.testing.assert_close(loss(pictures, labels, False), 0.5 * entropy + 0.25 * apart)


@pytest.mark.parametrize(("epochs", "away"), [(1, 3), (4, 3), (2, 0)])
def test_scrub_has_a_pass_away_in_its_first_epochs_and_always_one_back(monkeypatch, epochs, away):
    _, batches = trained_on(monkeypatch, scrub, "scrub", epochs=epochs, max_epochs=away)
    marks = [batch[2] for batch in batches]
    first, later = [True] * 2 + [False] * 4, [False] * 4
    assert marks == first * min(epochs, away) + later * max(epochs - away, 0)


@given(st.floats(0.5, 8), st.integers(0, 1000))
def test_the_divergence_is_that_of_the_softened_distributions(temperature, seed):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    p, q = ((logits / temperature).softmax(dim=1) for logits in (teacher, student))
    expected = temperature**2 * (p * (p / q).log()).sum(dim=1).mean()
    torch.testing.assert_close(scrub.divergence(student, teacher, temperature), expected)


def test_ssd_dampens_by_the_ratio_of_importances_and_skips_zeros():
    weights = {"w": torch.tensor([1.0, 2.0, -3.0, 4.0, 5.0, 6.0])}
    for_all = {"w": torch.tensor([1.0, 1.0, 0.1, 0.0, 0.0, 1.0])}
    for_forget = {"w": torch.tensor([10.0, 20.0, 10.0, 0.0, 1.0, 0.0])}
    expected = [1.0, 2.0 / 20, -3.0 / 100, 4.0, 0.0, 6.0]
    dampen(weights, for_all, for_forget, alpha=10.0, dampening=1.0)
    torch.testing.assert_close(weights["w"], torch.tensor(expected))


@pytest.mark.parametrize("of", ["ssd", "fisher", "gradient"])
def test_importances_are_those_of_batches_in_ssd_and_of_single_items_in_perta(of):
    model, loader = conv_net().eval(), example_data().forget_in_order
    slopes = []
    for pictures, labels in loader if of == "ssd" else core.one_by_one(loader):
        loss = functional.cross_entropy(model(pictures), labels)
        slopes.append(torch.autograd.grad(loss, model[5].weight)[0])
    stacked = torch.stack(slopes)
    expected = stacked.mean(0).abs() if of == "gradient" else stacked.square().mean(0)
    if of == "ssd":
        values = importance(model, loader)
    else:
        values = importances(model, core.one_by_one(loader), IMAGES.loss(model, 0.0), of)
    assert values.keys() == dict(model.named_parameters()).keys()
    torch.testing.assert_close(values["5.weight"], expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("coefficient", "epsilon"), [(0.0, 1e-20), (1.0, 1e-20), (0.7, 1e-3)])
def test_perta_subtracts_the_share_of_the_vector_that_matters_for_forgetting(coefficient, epsilon):
    # With equal sets a weight's share is F / (2 F + epsilon).
    plain = Batches(*images(12, 1))
    same = dataclasses.replace(example_data(), forget=plain, retain=plain)
    options = {"epochs": 1, "learning_rate": 0.05}
    far = unlearn("finetune", conv_net(), same, **options)
    less = {"coefficient": coefficient, "epsilon": epsilon}
    moved = unlearn("perta", conv_net(), same, **options, **less)
    model = conv_net()
    loss = IMAGES.loss(model, 0.0)
    matters = importances(model, core.one_by_one(plain), loss, "fisher")
    for name, parameter in moved.named_parameters():
        base, tuned = model.get_parameter(name), far.get_parameter(name)
        share = matters[name] / (2 * matters[name] + epsilon)
        expected = base - coefficient * share * (tuned - base)
        torch.testing.assert_close(parameter, expected, rtol=1e-4, atol=1e-6)
    # As in all negation.
    assert torch.equal(statistics(moved), statistics(conv_net()))
