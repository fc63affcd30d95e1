"""Causal language models of transformers, made from a configuration."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from negmerge.checks import require_same_tensors
from negmerge.errors import UserError, find, unknown
from negmerge.states import shapes

# Their configuration and class by the name in `architecture`.
KINDS = {"llama": (LlamaConfig, LlamaForCausalLM)}
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def build_language_model(row: Mapping, vocabulary: int) -> nn.Module:
    """Build a model with random weights; torch's global generator decides them.

    Where the head is the embedding of the tokens, the model's state has it once, so that no vector
    holds it twice.

    Args:
        row: of `config/models.yaml`: `architecture`, with `kind` and options of its configuration,
            and `size`, the longest text in tokens.
        vocabulary: how many tokens there are.

    Raises:
        UserError: an unknown kind or option.
    """
    options = dict(row["architecture"])
    configuration, build = find("kind of language model", options.pop("kind"), KINDS)
    known = configuration().to_dict()
    for name in options:
        if name not in known:
            raise UserError(unknown("option of the configuration", name, known))
    config = configuration(
        vocab_size=vocabulary, max_position_embeddings=row["size"], use_cache=False, **options
    )
    model = build(config)
    if config.tie_word_embeddings:
        model.register_state_dict_post_hook(_drop_head)
        model.register_load_state_dict_pre_hook(_add_head)
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
        UserError: the state is that of another model, or of another vocabulary.
    """
    model = build_language_model(row, vocabulary)
    require_same_tensors(shapes(model.state_dict()), shapes(state), where)
    model.load_state_dict(state)
    return model


def _drop_head(module: nn.Module, state: dict[str, Tensor], prefix: str, _: Any) -> None:
    state.pop(prefix + HEAD, None)


def _add_head(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    if prefix + EMBEDDING in state:
        state[prefix + HEAD] = state[prefix + EMBEDDING]
