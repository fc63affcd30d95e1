"""The configuration of an adapter, `adapter_config.json`, as PEFT writes it."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from negmerge.checkpoints import hub
from negmerge.errors import UserError

FILE = hub.ADAPTER

# Keys of PEFT that say how an adapter was trained or what it is for, not what it does to a weight.
WITHOUT_EFFECT = {
    "auto_mapping",
    "bias",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_config",
    "megatron_core",
    "merge_weights",
    "modules_to_save",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "velora_config",
}
# Variants whose change of the weights is not scale x B A.
VARIANTS = {
    "use_dora": "DoRA",
    "use_qalora": "QALoRA",
    "use_bdlora": "BD-LoRA",
    "alora_invocation_tokens": "activated LoRA",
    "arrow_config": "Arrow routing",
    "kasa_config": "KaSA",
    "monteclora_config": "MonteCLoRA",
    "layer_replication": "replicated layers",
}
# These first take a part out of the base, so that what is stored is not a change of the base.
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
HARMLESS_STARTS = ("gaussian", "eva", "orthogonal", "mica", "true", "false")
OTHER_FORMATS = {
    "fine_tune_type": "MLX",
    "lora_parameters": "MLX",
    "lora_layers": "MLX",
    "adapter_type": "LLaMA-Adapter",
}
PROMPTS = {"PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CARTRIDGE"}
QUANTISED = re.compile(r"(bnb|gptq|awq|[48]-?bit|int[48]|fp8|gguf|hqq|aqlm)", re.IGNORECASE)

Rank = Annotated[int, Field(gt=0)]


class Configuration(BaseModel):
    """What of an adapter's configuration decides how it changes weights; PEFT's defaults."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    peft_type: Literal["LORA"]
    r: Rank = 8
    lora_alpha: float = Field(default=8, allow_inf_nan=False)
    use_rslora: bool = False
    # By a regular expression for the end of a module's path.
    rank_pattern: dict[str, Rank] = {}
    alpha_pattern: dict[str, float] = {}
    fan_in_fan_out: bool = False
    lora_bias: bool = False
    target_parameters: list[str] = []
    trainable_token_indices: list[int] | dict[str, list[int]] = {}
    base_model_name_or_path: str = ""

    def rank(self, path: str) -> int:
        """Return the rank of the module, or targeted parameter, at `path`."""
        return _by_pattern(self.rank_pattern, path, self.r)

    def scale(self, path: str) -> float:
        """Return the factor of B A for the module, or targeted parameter, at `path`."""
        rank = self.rank(path)
        alpha = _by_pattern(self.alpha_pattern, path, self.lora_alpha)
        return alpha / math.sqrt(rank) if self.use_rslora else alpha / rank

    def note(self) -> str | None:
        """Describe the base that the adapter names, where it cannot be the one that is meant."""
        named = self.base_model_name_or_path
        if QUANTISED.search(named):
            return f"names the quantised base {named!r}; it is put on the base given"
        if named.startswith(("/", "./", "../", "~")) or re.match(r"[A-Za-z]:[\\/]", named):
            return f"names the base {named!r}, a path; it is put on the base given"
        return None


def _by_pattern(patterns: Mapping[str, float], path: str, default: float):
    """Return the value of the first pattern that fits the end of a module's path."""
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", path):
            return value
    return default


def read_configuration(folder: Path) -> Configuration:
    """Read and check `adapter_config.json`."""
    path = folder / FILE
    keys = _read(path)
    _require_lora(path, keys)
    start = keys.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(CHANGES_BASE):
        raise UserError(
            f"{path}: init_lora_weights {start!r} took a part out of the base before training, so "
            "the adapter does not fit the base; save it with path_initial_model_for_weight_"
            "conversion, which converts it"
        )
    if isinstance(start, str) and start.lower() not in HARMLESS_STARTS:
        raise UserError(f"{path}: init_lora_weights {start!r} is not known")
    known = Configuration.model_fields.keys() | WITHOUT_EFFECT | VARIANTS.keys()
    for key in keys:
        if key not in known and keys[key]:
            raise UserError(
                f"{path}: the key {key!r} is not known and could change what the adapter does"
            )
    try:
        checked = Configuration.model_validate(
            {key: value for key, value in keys.items() if value is not None}
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(f"{path}: {place}: {first['msg']}, found {first['input']!r}") from None
    for pattern in (*checked.rank_pattern, *checked.alpha_pattern):
        try:
            re.compile(pattern)
        except re.error as error:
            raise UserError(f"{path}: {pattern!r} is not a regular expression ({error})") from None
    return checked


def _read(path: Path) -> dict:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; without it an adapter cannot be read") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    if text.startswith("version https://git-lfs"):
        raise UserError(
            f"{path}: a Git LFS pointer in place of the file; get it with `git lfs pull`"
        )
    try:
        keys = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(keys, dict):
        raise UserError(f"{path}: holds no JSON object")
    return keys


def _require_lora(path: Path, keys: Mapping[str, object]) -> None:
    """Check that an adapter is of PEFT, and LoRA without a variant that cannot be merged."""
    kind = keys.get("peft_type")
    if kind is None:
        for key, program in OTHER_FORMATS.items():
            if key in keys:
                raise UserError(
                    f"{path}: an adapter of {program} (key {key!r}), which is not supported, only "
                    "LoRA of PEFT is"
                )
        raise UserError(f"{path}: not a configuration of a PEFT adapter (no key 'peft_type')")
    if kind in PROMPTS:
        raise UserError(f"{path}: {kind} learns a prompt and changes no weight")
    if kind != "LORA":
        raise UserError(f"{path}: peft_type {kind!r} is not supported, only 'LORA' is")
    for key, variant in VARIANTS.items():
        if keys.get(key):
            raise UserError(f"{path}: {variant} ({key}) is not supported, only plain LoRA is")
