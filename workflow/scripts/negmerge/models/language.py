"""Causal language models of transformers: made from a configuration, and low-rank adapters."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from negmerge.checkpoints.checks import require_same_tensors
from negmerge.checkpoints.states import shapes
from negmerge.errors import NotFinite, UserError, find, one_line, unknown
from negmerge.models.answers import context_length


def build_language_model(row: Mapping, vocabulary: int) -> nn.Module:
    """Build the model of a row for so many tokens; torch's global generator decides the weights.

    The row has `architecture`, the `kind` and options of its configuration, and `size`, the longest
    text in tokens; or, of a model of others, `configuration`, all of it, the vocabulary included.
    Where the head is the embedding of the tokens, the model's state has it once, so that no vector
    holds it twice.
    """
    # Here, since models of images do without transformers.
    from transformers import AutoConfig, AutoModelForCausalLM

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
    """Build the model of a row with a state, which errors call `where`."""
    model = build_language_model(row, vocabulary)
    size, most = row.get("size", 0), context_length(model)
    if most is not None and size > most:
        raise UserError(
            f"{where}: the model reads at most {most} tokens, but `size` in its row is {size}"
        )
    require_same_tensors(shapes(model.state_dict()), shapes(state), where)
    model.load_state_dict(state)
    return model


def _configuration(row: Mapping, vocabulary: int) -> object:
    from transformers import LlamaConfig

    options = dict(row["architecture"])
    make = find("kind of language model", options.pop("kind"), {"llama": LlamaConfig})
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


def adapted(network: nn.Module, settings: Mapping) -> nn.Module:
    """Add an adapter of PEFT to a network in place, whose own weights are then frozen.

    The settings are `rank`, `alpha`, `dropout` and `modules`, names of layers, or `all-linear` for
    all but the head. torch's global generator decides the start of the adapter.
    """
    # Here, since full fine-tuning does without it.
    from peft import LoraConfig, get_peft_model

    modules = settings["modules"]
    configuration = LoraConfig(
        r=settings["rank"],
        lora_alpha=settings["alpha"],
        lora_dropout=settings["dropout"],
        target_modules=modules[0] if modules == ["all-linear"] else modules,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(network, configuration)


def merged(network: nn.Module) -> nn.Module:
    """Return the network of `adapted` with the adapter in its weights, and without the adapter.

    So the change of the weights is a task vector like any other, whose signs can vote. Those of the
    adapters' factors cannot: B A is also (B R) (R^-1 A).
    """
    try:
        return network.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise NotFinite(one_line(error)) from error
