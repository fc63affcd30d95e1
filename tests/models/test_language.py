"""Language models from configurations, and low-rank adapters that become part of them."""

import copy

import pytest
import torch

from negmerge.checkpoints.states import write_state
from negmerge.errors import NotFinite, UserError
from negmerge.models.language import adapted, build_language_model, load_language_model, merged
from small_language_models import language_model

pytest.importorskip("transformers")

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
EMBEDDING = "model.embed_tokens.weight"
IDS = torch.arange(12).reshape(2, 6)


def row(**options):
    return {"architecture": {"kind": "llama", **SMALL, **options}, "size": 32}


@pytest.mark.parametrize("tied", [True, False])
def test_a_state_comes_back_with_its_head_which_it_has_once_if_it_is_tied(tmp_path, tied):
    torch.manual_seed(0)
    model = build_language_model(row(tie_word_embeddings=tied), 50)
    assert ("lm_head.weight" in model.state_dict()) != tied
    write_state(tmp_path / "m.safetensors", model.state_dict(), {})
    again = load_language_model(row(tie_word_embeddings=tied), 50, model.state_dict(), "m")
    assert torch.equal(again(IDS).logits, model(IDS).logits)
    moved = {name: value + 1 for name, value in model.state_dict().items()}
    again.load_state_dict(moved)
    assert torch.equal(again.state_dict()[EMBEDDING], moved[EMBEDDING])
    assert (again.lm_head.weight is again.model.embed_tokens.weight) == tied
    assert set(copy.deepcopy(again).state_dict()) == set(moved)


def test_what_does_not_fit_is_named():
    state = build_language_model(row(), 50).state_dict()
    with pytest.raises(UserError, match=rf"^m.safetensors: tensor '{EMBEDDING}'"):
        load_language_model(row(), 51, state, "m.safetensors")
    with pytest.raises(UserError, match="unknown option of the configuration 'hidden'"):
        build_language_model(row(hidden=3), 50)
    with pytest.raises(UserError, match="unknown kind of language model 'gpt'"):
        build_language_model({"architecture": {"kind": "gpt"}, "size": 8}, 50)


def trained(**changes):
    """A model with an adapter of random numbers, and its weights before, in float64."""
    model = language_model(tie_word_embeddings=True)
    before = {name: value.double() for name, value in model.state_dict().items()}
    settings = {"rank": 2, "alpha": 3, "dropout": 0.0, "modules": ["all-linear"]}
    torch.manual_seed(0)
    found = adapted(model, settings | changes).double()
    for name, parameter in found.named_parameters():
        assert parameter.requires_grad == ("lora_" in name)
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return found, before


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
