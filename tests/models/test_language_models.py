import copy

import pytest
import torch

from negmerge.checkpoints.states import write_state
from negmerge.errors import UserError
from negmerge.models.language import build_language_model, load_language_model

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}


def row(**options):
    return {"architecture": {"kind": "llama", **SMALL, **options}, "size": 32}


def test_a_tied_head_is_in_the_state_once():
    tied = build_language_model(row(tie_word_embeddings=True), 50)
    free = build_language_model(row(tie_word_embeddings=False), 50)
    assert set(free.state_dict()) - set(tied.state_dict()) == {"lm_head.weight"}
    assert len(list(tied.parameters())) == len(tied.state_dict())


@pytest.mark.parametrize("tied", [True, False])
def test_a_state_comes_back_with_its_head(tmp_path, tied):
    torch.manual_seed(0)
    model = build_language_model(row(tie_word_embeddings=tied), 50)
    write_state(tmp_path / "m.safetensors", model.state_dict(), {})
    again = load_language_model(row(tie_word_embeddings=tied), 50, model.state_dict(), "m")
    ids = torch.arange(12).reshape(2, 6)
    assert torch.equal(again(ids).logits, model(ids).logits)
    moved = {name: value + 1 for name, value in model.state_dict().items()}
    again.load_state_dict(moved)
    assert torch.equal(again.state_dict()["model.embed_tokens.weight"], moved[EMBEDDING])
    is_one = again.lm_head.weight is again.model.embed_tokens.weight
    assert is_one == tied
    assert set(copy.deepcopy(again).state_dict()) == set(moved)


EMBEDDING = "model.embed_tokens.weight"


def test_a_state_of_another_vocabulary_is_named():
    model = build_language_model(row(tie_word_embeddings=True), 50)
    with pytest.raises(UserError, match=r"^m.safetensors: tensor 'model.embed_tokens.weight'"):
        load_language_model(row(tie_word_embeddings=True), 51, model.state_dict(), "m.safetensors")


def test_an_unknown_option_is_named():
    with pytest.raises(UserError, match="unknown option of the configuration 'hidden'"):
        build_language_model(row(hidden=3), 50)
    with pytest.raises(UserError, match="unknown kind of language model 'gpt'"):
        build_language_model({"architecture": {"kind": "gpt"}, "size": 8}, 50)
