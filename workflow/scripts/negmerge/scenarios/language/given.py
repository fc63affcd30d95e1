"""Language models of others: folders of transformers, and GGUF files of llama.cpp."""

from collections.abc import Mapping
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoTokenizer

from negmerge.checkpoints.gguf import GgufFile
from negmerge.checkpoints.hub import is_gguf, weights
from negmerge.checkpoints.opening import open_state
from negmerge.checkpoints.states import State, require_same_tensors, shapes
from negmerge.errors import UserError, one_line
from negmerge.models.language import build_language_model


def read_configuration(folder: str | Path) -> dict:
    """Read the configuration of a model; code that a folder brings is not run."""
    if file := _gguf_file(folder):
        return file.config.to_dict()
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True).to_dict()
    except (OSError, ValueError, KeyError) as error:
        reason = one_line(error)
        raise UserError(
            f"{folder}: no configuration of a model of transformers: {reason:.200}"
        ) from error


def _gguf_file(place: str | Path) -> GgufFile | None:
    path = Path(place)
    if not path.exists() or not is_gguf(path):
        return None
    return GgufFile(weights(path) if path.is_dir() else path)


def read_own_tokenizer(folder: str | Path, vocabulary: int) -> Tokenizer:
    """Read the tokenizer of a model, in the form of the library tokenizers."""
    file = _gguf_file(folder)
    try:
        tokenizer = (
            file.tokenizer if file else AutoTokenizer.from_pretrained(folder, local_files_only=True)
        ).backend_tokenizer
    except (OSError, ValueError, KeyError, AttributeError, ImportError) as error:
        reason = one_line(error)
        raise UserError(f"{folder}: no tokenizer that can be read: {reason:.200}") from error
    # Some prompts may be longer than others; how long a text may be, the model's row says.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if tokenizer.get_vocab_size() > vocabulary:
        raise UserError(
            f"{folder}: the tokenizer has {tokenizer.get_vocab_size()} tokens, the model "
            f"{vocabulary}"
        )
    return tokenizer


def read_language_model(folder: str | Path, configuration: Mapping, key: str | None) -> State:
    """Read the weights of a model, as float32, with a head that is the embedding left out."""
    with torch.device("meta"):
        model = build_language_model({"configuration": configuration}, 0)
    expected = shapes(model.state_dict())
    # A head that is the embedding, and what a model computes by itself.
    named = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers())
    left_out = set(named) - set(expected)
    state = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in open_state(folder, key).items()
        if name not in left_out
    }
    require_same_tensors(expected, shapes(state), folder)
    return state
