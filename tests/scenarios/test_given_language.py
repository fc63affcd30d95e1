"""Language models of others: their weights, their tokenizers, and which folders on the hub."""

import json
import shutil

import pytest
import torch
from huggingface_hub import constants
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from negmerge.errors import UserError
from negmerge.models.language import load_language_model
from negmerge.models.weights import fetch, weights_file
from negmerge.scenarios.language.given import (
    read_configuration,
    read_language_model,
    read_own_tokenizer,
)
from small_language_models import VOCABULARY, language_model

IDS = torch.arange(12).reshape(2, 6)
FIRST, SECOND = "1" * 40, "2" * 40


def save(folder, model, tokens=VOCABULARY):
    model.save_pretrained(folder)
    words = {f"w{number}": number for number in range(tokens)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return folder


def read(folder):
    configuration = read_configuration(folder)
    state = read_language_model(folder, configuration, None)
    return load_language_model({"configuration": configuration}, 0, state, "m"), state


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2", "opt"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_model_of_any_architecture_computes_as_before(tmp_path, kind, tied):
    model = language_model(kind, tie_word_embeddings=tied)
    again, state = read(save(tmp_path / "m", model))
    assert torch.allclose(again.eval()(IDS).logits, model(IDS).logits, atol=1e-6)
    heads = [name for name in state if "lm_head" in name]
    assert len(heads) == (not tied)


def test_half_precision_is_read_as_float32(tmp_path):
    model = language_model().bfloat16()
    again, state = read(save(tmp_path / "m", model))
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert {value.dtype for value in again.parameters()} == {torch.float32}
    for name, tensor in state.items():
        assert torch.equal(tensor, model.state_dict()[name].float())


def test_weights_of_another_model_are_named(tmp_path):
    folder = save(tmp_path / "m", language_model())
    save(tmp_path / "other", language_model(num_hidden_layers=1))
    shutil.copy(tmp_path / "other" / "model.safetensors", folder)
    with pytest.raises(UserError, match=r"/m: tensor 'model.layers.1.* is missing \(9 in all\)$"):
        read(folder)
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match="/m: no configuration of a model of transformers: "):
        read(folder)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "opt"])
def test_texts_are_not_longer_than_the_model_reads(tmp_path, kind):
    model = language_model(kind, tie_word_embeddings=False)
    row = {"configuration": model.config.to_dict()}
    state = load_language_model(row, 0, model.state_dict(), "m").state_dict()
    load_language_model(row | {"size": 48}, 0, state, "m")
    message = "^m: the model reads at most 48 tokens, but `size` in its row is 49$"
    with pytest.raises(UserError, match=message):
        load_language_model(row | {"size": 49}, 0, state, "m")


def test_a_tokenizer_must_fit_the_model(tmp_path):
    folder = save(tmp_path / "m", language_model(), VOCABULARY + 1)
    assert read_own_tokenizer(folder, VOCABULARY + 1).token_to_id("w3") == 3
    with pytest.raises(UserError, match=r"/m: the tokenizer has 62 tokens, the model 61$"):
        read_own_tokenizer(folder, VOCABULARY)
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(UserError, match=r"/m: no tokenizer that can be read: "):
        read_own_tokenizer(folder, VOCABULARY)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The cache of the hub's client, with a model at two revisions, of which one is the newest."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "hub" / "models--owner--model"
    for seed, revision in enumerate((FIRST, SECOND)):
        save(folder / "snapshots" / revision, language_model(seed=seed))
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(SECOND)
    return folder


def row(revision=None):
    return {"hub": {"repository": "owner/model", "revision": revision}}


def test_a_record_keeps_the_revision_of_a_folder(hub, tmp_path):
    record = tmp_path / "record"
    fetch(row(FIRST), record)
    assert weights_file(record) == hub / "snapshots" / FIRST
    record.unlink()
    fetch(row(), record)
    assert json.loads(record.read_text())["revision"] == SECOND
    (hub / "refs" / "main").write_text(FIRST)
    fetch(row(), record)  # what was fetched first stays
    assert weights_file(record) == hub / "snapshots" / SECOND
