"""Causal language models of transformers, made from a configuration."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, PreTrainedConfig

from negmerge.checkpoints.checks import require_same_tensors
from negmerge.checkpoints.states import shapes
from negmerge.errors import UserError, find, unknown
from negmerge.models.answers import context_length

# Their configuration by the name in `architecture`.
KINDS = {"llama": LlamaConfig}


def build_language_model(row: Mapping, vocabulary: int) -> nn.Module:
    """Build a model with random weights; torch's global generator decides them.

    Where the head is the embedding of the tokens, the model's state has it once, so that no vector
    holds it twice.

    Args:
        row: of `config/models.yaml`: `architecture`, with `kind` and options of its configuration,
            and `size`, the longest text in tokens; or, of a model of others, `configuration`, all
            of it.
        vocabulary: how many tokens there are; that of others is in their configuration.

    Raises:
        UserError: an unknown kind or option.
    """
    if "configuration" in row:
        options = dict(row["configuration"])
        config = AutoConfig.for_model(options.pop("model_type"), **options)
    else:
        config = _configuration(row, vocabulary)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head is not None and head.weight is embedding.weight:
        names = [f"{_name(model, module)}.weight" for module in (embedding, head)]
        _keep_head_once(model, *names)
    return model


def load_language_model(
    row: Mapping, vocabulary: int, state: Mapping[str, Tensor], where: str
) -> nn.Module:
    """Build a model with the given weights.

    Args:
        row: as for `build_language_model`.
        vocabulary: likewise.
        state: the weights.
        where: what errors call the state.

    Raises:
        UserError: the state is that of another model, or of another vocabulary; or texts may be
            longer than the model reads.
    """
    model = build_language_model(row, vocabulary)
    size, most = row.get("size", 0), context_length(model)
    if most is not None and size > most:
        raise UserError(
            f"{where}: the model reads at most {most} tokens, but `size` in its row is {size}"
        )
    require_same_tensors(shapes(model.state_dict()), shapes(state), where)
    model.load_state_dict(state)
    return model


def _configuration(row: Mapping, vocabulary: int) -> PreTrainedConfig:
    options = dict(row["architecture"])
    make = find("kind of language model", options.pop("kind"), KINDS)
    known = make().to_dict()
    for name in options:
        if name not in known:
            raise UserError(unknown("option of the configuration", name, known))
    size = {"vocab_size": vocabulary, "max_position_embeddings": row["size"]}
    return make(**size, use_cache=False, **options)


def _name(model: nn.Module, part: nn.Module) -> str:
    return next(name for name, module in model.named_modules() if module is part)


def _keep_head_once(model: nn.Module, embedding: str, head: str) -> None:
    """Leave the head out of a model's state, and take it from the embedding when one is loaded."""

    def drop(module: nn.Module, state: dict[str, Tensor], prefix: str, _: object) -> None:
        state.pop(prefix + head, None)

    def add(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
        if prefix + embedding in state:
            state[prefix + head] = state[prefix + embedding]

    model.register_state_dict_post_hook(drop)
    model.register_load_state_dict_pre_hook(add)
