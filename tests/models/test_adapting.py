import pytest
import torch

from negmerge.errors import NotFinite
from negmerge.models.adapting import adapted, merged
from small_language_models import language_model

SETTINGS = {"rank": 2, "alpha": 3, "dropout": 0.0, "modules": ["all-linear"]}
IDS = torch.arange(12).reshape(2, 6)


def trained(**changes):
    """A model with an adapter of random numbers, and its weights before, in float64."""
    model = language_model(tie_word_embeddings=True)
    before = {name: value.double() for name, value in model.state_dict().items()}
    torch.manual_seed(0)
    found = adapted(model, SETTINGS | changes).double()
    for name, parameter in found.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return found, before


def test_only_the_adapter_is_trained():
    model, _ = trained()
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert names
    assert all("lora_" in name for name in names)


def test_the_adapter_is_added_to_the_weights_and_nothing_else_changes():
    model, before = trained()
    state = model.state_dict()
    logits = model.eval()(IDS).logits
    whole = merged(model)
    torch.testing.assert_close(whole(IDS).logits, logits, rtol=0, atol=1e-6)
    after = whole.state_dict()
    assert set(after) == set(before)
    linear = [name for name in before if name.endswith("proj.weight")]
    for name in linear:
        place = f"base_model.model.{name.removesuffix('.weight')}"
        a, b = (state[f"{place}.lora_{one}.default.weight"] for one in "AB")
        torch.testing.assert_close(after[name], before[name] + 3 / 2 * (b @ a))
        assert not torch.equal(after[name], before[name])
    for name in set(before) - set(linear):
        assert torch.equal(after[name], before[name]), name


def test_layers_can_be_named():
    model, before = trained(modules=["q_proj"])
    after = merged(model).state_dict()
    changed = [name for name in before if not torch.equal(after[name], before[name])]
    assert changed == [name for name in before if "q_proj" in name]


def test_an_adapter_that_is_not_finite_is_not_added():
    model, _ = trained()
    next(p for name, p in model.named_parameters() if "lora_B" in name).data.fill_(float("nan"))
    with pytest.raises(NotFinite, match="NaN"):
        merged(model)
