"""Causal language models of transformers: made, loaded, adapted and merged."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from negmerge.checkpoints.states import require_same_tensors, shapes
from negmerge.errors import NotFinite, UserError, find, one_line, unknown

# The key of a configuration of others that says where their weights are from.
ORIGIN = "weights_from"


def build_language_model(row: Mapping, vocabulary: int) -> nn.Module:
    """Build the model of a row for so many tokens; torch's global generator decides the weights.

    The row has `architecture` and `size`, or all of a `configuration`. A head that is the embedding
    of the tokens is in the state once.
    """
    # Here, since models of images do without transformers.
    from transformers import AutoConfig, AutoModelForCausalLM

    if "configuration" in row:
        options = {key: value for key, value in row["configuration"].items() if key != ORIGIN}
        config = AutoConfig.for_model(options.pop("model_type"), **options)
    else:
        config = _configuration(row, vocabulary)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    if head is not None and head.weight is embedding.weight:
        names = {id(module): f"{name}.weight" for name, module in model.named_modules()}
        _keep_head_once(model, names[id(embedding)], names[id(head)])
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


def _keep_head_once(model: nn.Module, embedding: str, head: str) -> None:
    """Leave the head out of a model's state, and take it from the embedding when one is loaded."""

    def drop(module: nn.Module, state: dict[str, Tensor], prefix: str, _: object) -> None:
        state.pop(prefix + head, None)

    def add(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
        if prefix + embedding in state:
            state[prefix + head] = state[prefix + embedding]

    model.register_state_dict_post_hook(drop)
    model.register_load_state_dict_pre_hook(add)


def adapted(network: nn.Module, settings: Mapping, seed: int) -> nn.Module:
    """Add PEFT's LoRA by `rank`, `alpha`, `dropout` and `modules` to a network, in place.

    The seed decides the random factors that the adapter begins with.
    """
    # Here, since full fine-tuning does without it.
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
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
    """Return the network of `adapted` with the adapter in its weights, whose signs can vote."""
    try:
        return network.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise NotFinite(one_line(error)) from error


def freeze_below(network: nn.Module, count: int) -> None:
    """Let only the last so many blocks of a transformer train, in place."""
    depth = network.config.num_hidden_layers
    lists = [part for part in network.modules() if isinstance(part, nn.ModuleList)]
    blocks = next((part for part in lists if len(part) == depth), None)
    if blocks is None or count > depth:
        raise UserError(f"layers: {count}, but {type(network).__name__} has {depth} blocks")
    network.requires_grad_(False)
    blocks[depth - count :].requires_grad_(True)


def context_length(model: nn.Module) -> int | None:
    """Return how many tokens a model can read at most; None where its configuration names none."""
    return getattr(getattr(model, "config", None), "max_position_embeddings", None)
