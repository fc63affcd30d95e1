"""Fine-tuning a network by low-rank adapters, which are added to its weights in the end.

So the change of the weights is a task vector like any other, and its signs can be voted on. Those
of the adapters' factors cannot: B A is also (B R) (R^-1 A).
"""

from collections.abc import Mapping

from torch import nn

from negmerge.errors import NotFinite, one_line


def adapted(network: nn.Module, settings: Mapping) -> nn.Module:
    """Add an adapter of PEFT to a network, whose own weights are then frozen.

    torch's global generator decides the start of the adapter.

    Args:
        network: of transformers; it is changed in place.
        settings: `rank`, `alpha`, `dropout` and `modules`, names of layers, or `all-linear` for all
            but the head.
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

    Raises:
        NotFinite: a number of the adapter, or of the weights with it, is not finite.
    """
    try:
        return network.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise NotFinite(one_line(error)) from error
