"""What the authors of NegMerge released, read as states with open_clip's names.

The authors' attention has Q, K, V and O as layers of their own. Their encoder holds CLIP without
its text tower, but with what surrounds that tower: six tensors that no image reaches.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from negmerge.checkpoints.states import State, require_finite
from negmerge.checkpoints.torch_files import Stub
from negmerge.errors import UserError
from negmerge.released.stub_classes import load

PREFIX, IMAGE_PREFIX = "model.", "visual."
BEFORE = (
    *("positional_embedding", "text_projection", "logit_scale"),
    *("visual.class_embedding", "visual.positional_embedding", "visual.proj"),
    *("visual.conv1.weight", "visual.ln_pre.weight", "visual.ln_pre.bias"),
)
BLOCK = ("ln_1", "attn.Q", "attn.K", "attn.V", "attn.O", "ln_2", "mlp.c_fc", "mlp.c_proj")
AFTER = (
    *("visual.ln_post.weight", "visual.ln_post.bias"),
    *("token_embedding.weight", "ln_final.weight", "ln_final.bias"),
)
JOINED = ("Q", "K", "V")
T = TypeVar("T")


def names_in_order(count: int, where: str | Path) -> list[str]:
    """List the tensors of a released encoder in its order, by which a linear file numbers them."""
    blocks, rest = divmod(count - len(BEFORE) - len(AFTER), 2 * len(BLOCK))
    if rest or blocks < 1:
        raise UserError(f"{where}: {count} tensors, expected 14 and 16 for each block, such as 206")
    inner = [
        f"visual.transformer.resblocks.{block}.{layer}.{kind}"
        for block in range(blocks)
        for layer in BLOCK
        for kind in ("weight", "bias")
    ]
    return [PREFIX + name for name in (*BEFORE, *inner, *AFTER)]


def to_open_clip(tensors: Mapping[str, Tensor], where: str | Path) -> tuple[State, State]:
    """Rename the tensors of a released encoder: the image encoder's, and the text part's."""
    image: State = {}
    text: State = {}
    for released, tensor in tensors.items():
        if not released.startswith(PREFIX):
            raise UserError(f"{where}: tensor {released!r} is not expected, names begin {PREFIX!r}")
        name = released.removeprefix(PREFIX)
        stem, attention, layer = name.partition(".attn.")
        if not name.startswith(IMAGE_PREFIX):
            text[name] = tensor
        elif not attention or layer.startswith(("in_proj_", "out_proj.")):
            image[name] = tensor
        elif layer.startswith("O."):
            image[f"{stem}.attn.out_proj.{layer[2:]}"] = tensor
        elif layer in {f"{letter}.{kind}" for letter in JOINED for kind in ("weight", "bias")}:
            kind = layer.partition(".")[2]
            joined = f"{stem}.attn.in_proj_{kind}"
            if joined not in image:
                image[joined] = _joined(tensors, stem, kind, where)
        else:
            raise UserError(f"{where}: tensor {released!r} is not expected")
    if not image:
        raise UserError(f"{where}: has no tensor of an image encoder, {PREFIX}{IMAGE_PREFIX}*")
    return image, text


def _joined(tensors: Mapping[str, Tensor], stem: str, kind: str, where: str | Path) -> Tensor:
    """Stack the rows of Q, K and V."""
    names = [f"{PREFIX}{stem}.attn.{letter}.{kind}" for letter in JOINED]
    for name in names:
        if name not in tensors:
            raise UserError(f"{where}: tensor {name!r} is missing")
        if tensors[name].shape != tensors[names[0]].shape:
            raise UserError(
                f"{where}: tensor {name!r} has shape {list(tensors[name].shape)}, expected "
                f"{list(tensors[names[0]].shape)} as {names[0]!r}"
            )
    return torch.cat([tensors[name] for name in names])


@dataclass
class Released:
    """A released file; its tensors may be views of the mapped file, not to be written into."""

    # "encoder", "linear" (an encoder trained in its tangent space) or "head".
    kind: str
    # `visual.*` of an encoder, as in this project's states; `weight` and `bias` of a head.
    state: State
    # CLIP's text part that an encoder carries: the authors count it, but no image reaches it.
    leftovers: State = field(default_factory=dict)
    # How many the file has, in which Q, K and V are three.
    tensors: int = 0
    # Of a linear file, the encoder before training.
    start: "Released | None" = None
    # `normalize` of a head, `model_name` of a linear file.
    notes: dict[str, bool | str] = field(default_factory=dict)


def read(path: str | Path) -> Released:
    """Read `*_finetuned.pt`, `zeroshot.pt`, `head_*.pt` or `linear_*.pt`; nothing of it is run."""
    return interpret(load(path), path)


def is_released(content: object) -> bool:
    """Whether what `load` has read is the authors': a whole module, or a state with their names."""
    if isinstance(content, dict):
        return any(str(name).startswith(PREFIX) for name in content)
    return isinstance(content, Stub)


def interpret(content: object, path: str | Path) -> Released:
    """Return what `load` has read as a released file; see `read`."""
    notes = {}
    if isinstance(content, Stub):
        named = dict(_tensors_of(content, path))
        if isinstance(vars(content).get("normalize"), bool):
            notes["normalize"] = vars(content)["normalize"]
    elif isinstance(content, dict):
        named = dict(content)
        if isinstance(named.get("model_name"), str):
            notes["model_name"] = named.pop("model_name")
    else:
        raise UserError(f"{path}: holds {type(content).__name__}, expected a state or a module")
    tensors = {}
    for name, tensor in named.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UserError(f"{path}: {name!r:.80} is {type(tensor).__name__}, expected a tensor")
        tensors[name] = require_finite(tensor.detach(), name, path)
    if tensors.keys() == {"weight", "bias"}:
        return Released("head", tensors, tensors=2, notes=notes)
    if f"{PREFIX}params0.0" not in tensors:
        return _encoder("encoder", tensors, path, notes)
    trained, start = _numbered(tensors, path)
    released = _encoder("linear", trained, path, notes)
    released.start = _encoder("encoder", start, path, {})
    return released


def _encoder(kind: str, tensors: State, path: str | Path, notes: dict) -> Released:
    return Released(kind, *to_open_clip(tensors, path), tensors=len(tensors), notes=notes)


def _numbered(tensors: State, path: str | Path) -> list[State]:
    """Name the tensors of a linear file: those that were trained, and those before."""
    names = names_in_order(len(tensors) // 2, path)
    numbered = {
        f"{PREFIX}{role}.{number}": name
        for role in ("params", "params0")
        for number, name in enumerate(names)
    }
    for name in sorted(tensors.keys() ^ numbered.keys()):
        raise UserError(
            f"{path}: tensor {name!r} is {'not expected' if name in tensors else 'missing'}"
        )
    return [
        {name: tensors[f"{PREFIX}{role}.{number}"] for number, name in enumerate(names)}
        for role in ("params", "params0")
    ]


def _tensors_of(module: Stub, path: str | Path, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield what a pickled module holds, by the names of its `state_dict`."""
    hidden = _part(module, "_non_persistent_buffers_set", set)
    buffers = _part(module, "_buffers", dict)
    own = _part(module, "_parameters", dict) | {n: b for n, b in buffers.items() if n not in hidden}
    for name, tensor in own.items():
        if tensor is not None:
            yield f"{prefix}{name}", tensor
    for name, inner in _part(module, "_modules", dict).items():
        if inner is not None:
            if not isinstance(inner, Stub):
                raise UserError(f"{path}: {prefix + name!r:.80} is no module")
            yield from _tensors_of(inner, path, f"{prefix}{name}.")


def _part(module: Stub, name: str, kind: type[T]) -> T:
    """Return an attribute of a module, empty where there is none of this kind."""
    value = vars(module).get(name)
    return value if isinstance(value, kind) else kind()
