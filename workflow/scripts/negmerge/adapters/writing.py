"""A factored vector as the folder of an adapter that PEFT loads."""

import re
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from negmerge.adapters.adapter import WEIGHTS
from negmerge.adapters.changes import Layer
from negmerge.adapters.configuration import FILE
from negmerge.adapters.factoring import Factored, Layers
from negmerge.adapters.parts import PREFIX
from negmerge.errors import UserError
from negmerge.files import replacing, write_json

EMBEDDING = re.compile(r"(^|\.)(wte|shared|\w*embed(_tokens|_in|dings?)?)\.weight$")


def write_adapter(
    folder: Path, factored: Factored, layers: Layers, base_name: str | None = None
) -> list[str]:
    """Write an adapter into a folder, its configuration last, and return notes for the user."""
    if not factored.factors and not factored.values:
        raise UserError(f"{folder}: the vector is zero, there is nothing to write")
    contents = _Contents(layers, factored)
    with replacing(folder / WEIGHTS[0]) as partial:
        save_file(contents.tensors, partial, metadata={"format": "pt"})
    write_json(folder / FILE, contents.configuration | {"base_model_name_or_path": base_name})
    return contents.notes


class _Contents:
    """The tensors and the configuration of an adapter in the making.

    The scale is 1: the factors hold it.
    """

    def __init__(self, layers: Layers, factored: Factored):
        self._base, self._layers, self._factored = layers.base, layers, factored
        self._modules_changed: set[str] = set()
        self._targets: list[str] = []
        self._parameters: list[str] = []
        self._saved: list[str] = []
        self._turned = False
        self.tensors: dict[str, Tensor] = {}
        kinds = {name: layers.layer(name) for name in sorted(factored.factors)}
        for name, layer in kinds.items():
            # PEFT changes no parameter beside a Conv1D layer, but such a layer as a parameter.
            mixed = layer == "conv1d" and "parameter" in kinds.values()
            self._add_factors(name, "parameter" if mixed else layer)
        for name in sorted(factored.values):
            self._add_value(name)
        self._complete_attentions()

    @property
    def notes(self) -> list[str]:
        """What the user ought to know."""
        tied = [name for name in self._factored.factors if EMBEDDING.search(name)]
        if not tied:
            return []
        return [
            f"the adapter changes {tied[0]!r}; where the model's head is tied to it, PEFT changes "
            "the head only once the adapter is merged into the model"
        ]

    @property
    def configuration(self) -> dict[str, object]:
        """The content of adapter_config.json."""
        return {
            "peft_type": "LORA",
            "r": self._factored.rank,
            "lora_alpha": self._factored.rank,
            "lora_dropout": 0.0,
            "bias": "none",
            "fan_in_fan_out": self._turned,
            "target_modules": sorted(self._targets),
            "target_parameters": sorted(self._parameters) or None,
            "modules_to_save": sorted(self._saved) or None,
            "inference_mode": True,
            "task_type": None,
        }

    def _add_factors(self, name: str, layer: Layer) -> None:
        a, b = self._padded(name)
        module = name.rpartition(".")[0]
        shape = self._base.shape(name)
        path, target = self._layers.path(module), module
        first, second = "lora_A.weight", "lora_B.weight"
        if layer in ("conv1d", "embedding"):
            a, b = b.T, a.T
            self._turned = self._turned or layer == "conv1d"
        if layer == "embedding":
            first, second = "lora_embedding_A", "lora_embedding_B"
        elif layer == "convolution":
            a, b = a.view(-1, *shape[1:]), b.view(*b.shape, *[1] * (len(shape) - 2))
        elif layer == "attention" and not name.endswith(".in_proj_weight"):
            # PEFT adds the change of an attention's output twice.
            b = b / 2
            target = module.rpartition(".")[0]
            path = f"{self._layers.path(target)}.base_layer.out_proj"
        if layer == "parameter":
            self._parameters.append(f"{path}.{name.rpartition('.')[2]}")
        elif (of_target := self._layers.path(target)) not in self._targets:
            self._targets.append(of_target)
        self._modules_changed.add(module)
        self.tensors[f"{PREFIX}{path}.{first}"] = a.contiguous()
        self.tensors[f"{PREFIX}{path}.{second}"] = b.contiguous()

    def _padded(self, name: str) -> tuple[Tensor, Tensor]:
        """Return the factors of a tensor, with zeros up to the common rank."""
        a, b = self._factored.factors[name]
        more = self._factored.rank - len(a)
        return (
            torch.nn.functional.pad(a, (0, 0, 0, more)).float(),
            torch.nn.functional.pad(b, (0, more)).float(),
        )

    def _add_value(self, name: str) -> None:
        """Add a tensor that is stored whole, by the layer or by the module that it belongs to."""
        module, _, leaf = name.rpartition(".")
        value = self._base[name].float() + self._factored.values[name].float()
        if module in self._modules_changed and leaf != "weight":
            self.tensors[f"{PREFIX}{self._path_inside(module)}.base_layer.{leaf}"] = value
            return
        if not module or module in self._modules_changed or self._layers.has_parts(module):
            raise UserError(
                f"{self._base.path}: an adapter cannot hold the change of {name!r} beside others; "
                "leave it out with --exclude, or write a model"
            )
        self._save(module)
        self.tensors[f"{PREFIX}{self._layers.path(module)}.{leaf}"] = value

    def _path_inside(self, module: str) -> str:
        """Return the path of a changed module, which may lie inside a changed attention."""
        parent = module.rpartition(".")[0]
        if self._layers.is_attention(parent):
            return f"{self._layers.path(parent)}.base_layer.out_proj"
        return self._layers.path(module)

    def _save(self, module: str) -> None:
        """Store a module whole, as the base has it until a value is put in its place.

        PEFT takes every module whose path ends like that of one to be stored.
        """
        path = self._layers.path(module)
        if path in self._saved:
            return
        for other in sorted(self._layers.modules):
            other_path = self._layers.path(other)
            if not other_path.endswith(path) or other_path in self._saved:
                continue
            if other in self._modules_changed or self._layers.has_parts(other):
                raise UserError(
                    f"{self._base.path}: an adapter cannot store {module!r} whole, because PEFT "
                    f"would store {other!r} too; leave it out with --exclude, or write a model"
                )
            self._saved.append(other_path)
            for name in self._base.names:
                if name.rpartition(".")[0] == other:
                    key = f"{PREFIX}{other_path}.{name.rpartition('.')[2]}"
                    self.tensors.setdefault(key, self._base[name].clone())

    def _complete_attentions(self) -> None:
        """Give an attention of which only one of two parts changes zeros for the other."""
        rank = self._factored.rank
        for module in sorted(self._layers.modules):
            path = self._layers.path(module)
            if path not in self._targets or not self._layers.is_attention(module):
                continue
            width = self._base.shape(f"{module}.in_proj_weight")[1]
            for inside, outputs in (("", 3 * width), (".base_layer.out_proj", width)):
                key = f"{PREFIX}{path}{inside}"
                self.tensors.setdefault(f"{key}.lora_A.weight", torch.zeros(rank, width))
                self.tensors.setdefault(f"{key}.lora_B.weight", torch.zeros(outputs, rank))
