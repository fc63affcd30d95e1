import dataclasses
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from unlearning_examples import (
    CLASSES,
    Batches,
    Unreadable,
    conv_net,
    example_data,
    images,
    same_bytes,
    statistics,
    unlearn,
)

from negmerge.errors import UserError
from negmerge.unlearning import METHODS, passes
from negmerge.unlearning.methods import boundary_expand, scrub
from negmerge.unlearning.methods.boundary_shrink import adversarial_images, nearest_labels
from negmerge.unlearning.methods.influence import inverse_fisher
from negmerge.unlearning.methods.ssd import dampen, importance
from negmerge.unlearning.passes import with_random_labels

# Those for language models only are in test_language_methods.py.
FOR_IMAGES = [name for name in METHODS if "classifier" in METHODS[name].options.scenarios]
TRAINING = [name for name in FOR_IMAGES if "epochs" in METHODS[name].options.model_fields]
# SSD changes nothing on so small a model unless it selects more weights than usual.
SHORT = {name: {"epochs": 1, "learning_rate": 0.05} for name in TRAINING} | {"ssd": {"alpha": 1.0}}


def run(name, seed=0, model=None, **options):
    model = model or conv_net()
    return unlearn(name, model, example_data(seed), **SHORT.get(name, {}) | options)


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
        closed = {name: Unreadable() for name in names}
        data = dataclasses.replace(data, **closed)
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
    with pytest.raises(UserError, match="lower the rate") as caught:
        unlearn(name, conv_net(), example_data(), epochs=3, learning_rate=1e38)
    assert "\n" not in str(caught.value)


def test_an_influence_step_that_overflows_is_refused():
    with pytest.raises(UserError, match=r"^influence with alpha 1e\+60: tensor '\S+' holds"):
        run("influence", alpha=1e60)


@given(st.integers(0, 2**31 - 1), st.integers(0, 50))
def test_random_labels_come_from_all_classes_and_from_the_seed(seed, epoch):
    batches = [(torch.zeros(50, 1), torch.full((50,), 2)) for _ in range(2)]
    drawn = [torch.cat([y for _, y in with_random_labels(batches, 3, seed, epoch)]) for _ in "ab"]
    assert torch.equal(*drawn)
    assert drawn[0].dtype == torch.int64
    assert set(drawn[0].tolist()) == {0, 1, 2}  # 2, the true one, too
    other = torch.cat([y for _, y in with_random_labels(batches, 3, seed, epoch + 1)])
    assert not torch.equal(drawn[0], other)


def seen(monkeypatch, module, name, **options):
    """The batches that a method trains on."""
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

    data, batches = seen(monkeypatch, passes, name, epochs=2)
    assert [len(batch[0]) for batch in batches] == [8, 4, 8, 8, 8, 4] * 2
    first, second = batches[:2], batches[6:8]
    assert not torch.equal(first[0][1], second[0][1])  # redrawn
    # The retain set has its own labels.
    found = sorted(torch.cat([labels for _, labels in batches[2:6]]).tolist())
    assert found == sorted(data.retain.labels.tolist())
    _, batches = seen(monkeypatch, passes, name, epochs=2, retain=False)
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
    assert without.bias is None
    with pytest.raises(UserError, match="Sequential has no linear layer"):
        boundary_expand.expand(nn.Sequential(nn.Conv2d(3, 2, 1)), seed=0)


def test_neggrad_plus_takes_forget_batches_round_and_round(monkeypatch):
    data, batches = seen(monkeypatch, passes, "neggrad-plus", epochs=2)
    assert [len(batch[0]) for batch in batches] == [8, 8, 8, 4] * 2
    assert [len(batch[2]) for batch in batches] == [8, 4] * 4
    assert data.forget.epochs == 4


def minimised(monkeypatch, module, name, **options):
    """The loss that a method minimises, after its model has left the start, and both models."""
    caught, start, model = [], conv_net(), conv_net()
    monkeypatch.setattr(module, "fit", lambda *arguments, **more: caught.append(arguments[3]))
    unlearn(name, model, example_data(), **options)
    model.load_state_dict(conv_net(seed=1).state_dict())
    return caught[0], start.eval(), model.eval()


def test_boundary_shrink_takes_the_labels_of_the_frozen_original(monkeypatch):
    loss, start, model = minimised(monkeypatch, passes, "boundary-shrink")
    pictures, labels = images(30, 5)
    expected = nearest_labels(start, adversarial_images(start, pictures, labels, 0.1))
    moving = nearest_labels(model, adversarial_images(model, pictures, labels, 0.1))
    assert not torch.equal(expected, moving)  # so it matters whose they are
    found = loss(pictures, labels)
    torch.testing.assert_close(found, functional.cross_entropy(model(pictures), expected))


def test_neggrad_plus_weighs_the_loss_of_the_rest_against_that_of_the_forget_set(monkeypatch):
    loss, _, model = minimised(monkeypatch, passes, "neggrad-plus", alpha=0.7)
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


def test_neggrad_plus_without_forget_images_is_refused():
    data = dataclasses.replace(example_data(), forget=Batches(*images(0, 1)))
    with pytest.raises(UserError, match=r"^unlearning: the forget set is empty$"):
        unlearn("neggrad-plus", conv_net(), data)


@pytest.mark.parametrize(("epochs", "away"), [(1, 3), (4, 3), (2, 0)])
def test_scrub_has_a_pass_away_in_its_first_epochs_and_always_one_back(monkeypatch, epochs, away):
    _, batches = seen(monkeypatch, scrub, "scrub", epochs=epochs, max_epochs=away)
    marks = [batch[2] for batch in batches]
    first, later = [True] * 2 + [False] * 4, [False] * 4
    assert marks == first * min(epochs, away) + later * max(epochs - away, 0)


@given(st.floats(0.5, 8), st.integers(0, 1000))
def test_the_divergence_is_that_of_the_softened_distributions(temperature, seed):
    generator = torch.Generator().manual_seed(seed)
    student, teacher = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    p, q = ((logits / temperature).softmax(dim=1) for logits in (teacher, student))
    expected = temperature**2 * (p * (p / q).log()).sum(dim=1).mean()
    found = scrub.divergence(student, teacher, temperature)
    torch.testing.assert_close(found, expected)
    assert scrub.divergence(teacher, teacher, temperature).abs() < 1e-12


def test_influence_reads_two_more_samples_than_n():
    read = []

    def gradients():
        for number in itertools.count():
            read.append(number)
            yield torch.tensor([1.0, number])

    vector = torch.tensor([1.0, 2.0])
    result = inverse_fisher(vector, gradients(), samples=1000)
    assert len(read) == 1002
    assert torch.equal(vector, torch.tensor([1.0, 2.0]))
    # The correction lies along the first gradient.
    assert result[1] == 2.0
    assert result[0] != 1.0


@pytest.mark.parametrize("augmented", [False, True])
def test_influence_takes_all_gradients_on_the_images_as_they_are_or_augmented(augmented):
    plain = example_data()
    changed = dataclasses.replace(
        plain,
        forget=Batches(plain.forget.images.flip(3), plain.forget.labels, shuffle=True),
        retain=Batches(plain.retain.images.flip(3), plain.retain.labels, shuffle=True),
    )
    # Whatever is not to be read is closed.
    names = ("forget_in_order", "retain_in_order")
    if not augmented:
        names = ("forget", "retain", "retain_augmented")
    data = dataclasses.replace(changed, **dict.fromkeys(names, Unreadable()))
    found = unlearn("influence", conv_net(), data, augmented=augmented)

    model = conv_net()
    sets = (changed.forget, changed.retain) if augmented else (plain.forget, plain.retain)
    forget, retain = ((one.images, one.labels) for one in sets)
    parameters = list(model.parameters())

    def gradient(images, labels):
        loss = functional.cross_entropy(model.eval()(images), labels)
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])

    share = len(forget[1]) / (len(forget[1]) + len(retain[1]))
    vector = share * (gradient(*forget) - gradient(*retain))
    # The recursion goes through the retain set in its order.
    singles = [gradient(i[None], k[None]) for i, k in zip(*retain, strict=True)]
    step = 0.2 * inverse_fisher(vector, singles)
    before, after = (
        torch.cat([p.detach().flatten() for p in net.parameters()]) for net in (model, found)
    )
    torch.testing.assert_close(after - before, step, rtol=1e-4, atol=1e-6)


def test_ssd_dampens_by_the_ratio_of_importances_and_skips_zeros():
    weights = {"w": torch.tensor([1.0, 2.0, -3.0, 4.0, 5.0, 6.0])}
    for_all = {"w": torch.tensor([1.0, 1.0, 0.1, 0.0, 0.0, 1.0])}
    for_forget = {"w": torch.tensor([10.0, 20.0, 10.0, 0.0, 1.0, 0.0])}
    expected = [1.0, 2.0 / 20, -3.0 / 100, 4.0, 0.0, 6.0]
    dampen(weights, for_all, for_forget, alpha=10.0, dampening=1.0)
    torch.testing.assert_close(weights["w"], torch.tensor(expected))


def test_importance_is_the_mean_of_squared_batch_means():
    model, loader = conv_net().eval(), example_data().forget_in_order
    squares = []
    for pictures, labels in loader:
        loss = functional.cross_entropy(model(pictures), labels)
        squares.append(torch.autograd.grad(loss, model[5].weight)[0] ** 2)
    found = importance(conv_net(), loader)
    torch.testing.assert_close(found["5.weight"], (squares[0] + squares[1]) / 2)
    with pytest.raises(UserError, match=r"^ssd: there are no images to forget$"):
        importance(model, [])
