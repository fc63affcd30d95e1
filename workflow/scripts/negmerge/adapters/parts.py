"""The tensors of an adapter's file, sorted by the module that they belong to."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from negmerge.checkpoints.states import StoredState
from negmerge.errors import UserError

PREFIX = "base_model.model."
FACTORS = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_A\.weight|lora_B\.weight|lora_B\.bias"
    r"|lora_embedding_A|lora_embedding_B|token_adapter\.trainable_tokens_delta)"
)
# What other tensors of an adapter's file are, by a component of their names.
REFUSED = {
    "lora_magnitude_vector": "DoRA",
    "ia3_l": "IA3",
    "prompt_embeddings": "a learned prompt",
    "hada_w1_a": "LoHa",
    "lokr_w1": "LoKr",
    "lora_E": "AdaLoRA",
    "vera_lambda_b": "VeRA",
}


@dataclass
class Module:
    """What an adapter's file has for a module."""

    path: str
    nested: int = 0
    inside: bool = False
    factors: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)


def sort_tensors(file: StoredState) -> list[Module]:
    """Sort the tensors of an adapter's file by module."""
    modules: dict[tuple[str, int], Module] = {}
    for key in file.names:
        if _is_copy(key, file.names):
            continue
        path, part, nested, inside = _take_apart(key, file)
        module = modules.setdefault((path, nested), Module(path, nested))
        module.inside = module.inside or inside
        if FACTORS.fullmatch(f"{path}.{part}"):
            module.factors[part.removesuffix(".weight")] = key
        else:
            module.values[part] = key
    for module in modules.values():
        for part, other in _pairs(module.factors):
            if other not in module.factors:
                raise UserError(
                    f"{file.path}: {module.factors[part]!r} has no counterpart {other!r}"
                )
    return list(modules.values())


def _is_copy(key: str, names: Collection[str]) -> bool:
    """Whether a bias is stored again under the names of PEFT's wrapper, as `bias: all` does."""
    plain = re.sub(r"\.(modules_to_save|original_module)\.(?=[^.]+$)", ".", key)
    return plain != key and plain in names


def _pairs(factors: Iterable[str]) -> list[tuple[str, str]]:
    """List each factor with the one that it must come with."""
    other = {
        "lora_A": "lora_B",
        "lora_B": "lora_A",
        "lora_B.bias": "lora_B",
        "lora_embedding_A": "lora_embedding_B",
        "lora_embedding_B": "lora_embedding_A",
    }
    return [(part, other[part]) for part in factors if part in other]


def _take_apart(key: str, file: StoredState) -> tuple[str, str, int, bool]:
    """Return a tensor's module and part, how often it is wrapped, and whether inside another."""
    name = key.removeprefix(PREFIX)
    components = name.split(".")
    for component, kind in REFUSED.items():
        if component in components:
            raise UserError(f"{file.path}: {key!r} is of {kind}, only plain LoRA is supported")
    factor = FACTORS.fullmatch(name)
    if factor is None:
        if any(part.startswith("lora_") for part in components) or "." not in name:
            raise UserError(f"{file.path}: {key!r} is not a name that PEFT gives")
        path, _, part = name.rpartition(".")
    else:
        path, part = factor["module"], factor["part"]
    wrapped = path.split(".")
    nested = 0
    while wrapped and wrapped[-1] == "base_layer":
        wrapped.pop()
        nested += 1
    inside = "base_layer" in wrapped
    module = ".".join(component for component in wrapped if component != "base_layer")
    # A value lies at the bottom of all wrappers.
    return module, part, nested if factor else 0, inside
