"""The files that the authors of NegMerge released, read without running them, and converted.

Their attention has Q, K, V and O as layers of their own. Their encoder holds CLIP without its text
tower, but with what surrounds that tower: six tensors that no image reaches.
"""

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from negmerge import __version__
from negmerge.checkpoints.hub import missing
from negmerge.checkpoints.states import State, require_finite, write_state
from negmerge.checkpoints.torch_files import NOTED, Stub, load
from negmerge.errors import UserError
from negmerge.files import sha256

# A whole model may name what is in these; stubs stand for it.
PACKAGES = ("src.", "open_clip.", "clip.", "timm.", "torchvision.", "torch.nn.modules.", "PIL.")
PREFIX, IMAGE_PREFIX = "model.", "visual."
# The tensors of an encoder in its order, by which a linear file numbers them.
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
SUFFIX = ".safetensors"
# Where the authors put what was fine-tuned with RandAugment of M operations' strength and N
# operations: clip-vit-b-32_cars_rand-m1-n2_finetuned.pt, as published, and
# checkpoints_rand-m1-n2/CarsVal/finetuned.pt, as their scripts write.
POINT = re.compile(r"_rand-(m\d+-n\d+)(?:_|/[^/]+/)(?:linear_)?finetuned\.pt$")


@dataclass
class Released:
    """A released file; its tensors may be views of the mapped file, not to be written into.

    `kind` is "encoder", "linear" (an encoder trained in its tangent space) or "head"; `state` has
    the names of this project, `leftovers` is CLIP's text part. `tensors` counts those of the file,
    in which Q, K and V are three. A linear file also holds the encoder before training, `start`.
    """

    kind: str
    state: State
    leftovers: State = field(default_factory=dict)
    tensors: int = 2
    start: "Released | None" = None
    # `normalize` of a head, `model_name` of a linear file.
    notes: dict[str, bool | str] = field(default_factory=dict)


def read(path: str | Path) -> Released | None:
    """Read `*_finetuned.pt`, `zeroshot.pt`, `head_*.pt` or `linear_*.pt`; None for other states."""
    content, notes = load(path, (*NOTED, *PACKAGES)), {}
    # torch maps the numbers and does not compare them with the archive's checksums.
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise UserError(f"{path}: the checksum of {damaged!r} is wrong; fetch it again")
    if isinstance(content, Stub):
        named = dict(_tensors_of(content))
        if isinstance(vars(content).get("normalize"), bool):
            notes["normalize"] = vars(content)["normalize"]
    elif isinstance(content, dict) and any(str(name).startswith(PREFIX) for name in content):
        named = dict(content)
        if isinstance(named.get("model_name"), str):
            notes["model_name"] = named.pop("model_name")
    else:
        return None
    tensors = {}
    for name, tensor in named.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise UserError(f"{path}: {name!r:.80} is {type(tensor).__name__}, expected a tensor")
        tensors[name] = require_finite(tensor.detach(), name, path)
    if tensors.keys() == {"weight", "bias"}:
        return Released("head", tensors, notes=notes)
    if f"{PREFIX}params0.0" not in tensors:
        return Released("encoder", *to_open_clip(tensors, path), len(tensors), notes=notes)
    names = names_in_order(len(tensors) // 2, path)
    roles = {
        role: [f"{PREFIX}{role}.{n}" for n in range(len(names))] for role in ("params", "params0")
    }
    for name in sorted(tensors.keys() ^ set(chain(*roles.values()))):
        known = "not expected" if name in tensors else "missing"
        raise UserError(f"{path}: tensor {name!r} is {known}")
    trained, start = (
        to_open_clip({name: tensors[n] for name, n in zip(names, numbered, strict=True)}, path)
        for numbered in roles.values()
    )
    before = Released("encoder", *start, len(names))
    return Released("linear", *trained, len(names), before, notes)


def names_in_order(count: int, where: str | Path) -> list[str]:
    """List the tensors of a released encoder that has so many."""
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
        letter, _, kind = layer.partition(".")
        joined = f"{stem}.attn.in_proj_{kind}"
        if not name.startswith(IMAGE_PREFIX):
            text[name] = tensor
        elif not attention or letter in ("in_proj_weight", "in_proj_bias", "out_proj"):
            image[name] = tensor
        elif letter == "O":
            image[f"{stem}.attn.out_proj.{kind}"] = tensor
        elif letter not in ("Q", "K", "V"):
            raise UserError(f"{where}: tensor {released!r} is not expected")
        elif joined not in image:
            names = [f"{PREFIX}{stem}.attn.{each}.{kind}" for each in "QKV"]
            for name in names:
                if name not in tensors:
                    raise UserError(f"{where}: tensor {name!r} is missing")
            image[joined] = torch.cat([tensors[name] for name in names])
    if not image:
        raise UserError(f"{where}: has no tensor of an image encoder, {PREFIX}{IMAGE_PREFIX}*")
    return image, text


def _tensors_of(module: Stub, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield what a pickled module holds, by the names of its `state_dict`."""
    held = vars(module)
    hidden = held.get("_non_persistent_buffers_set") or ()
    own = dict(held.get("_parameters") or {})
    own |= {name: t for name, t in (held.get("_buffers") or {}).items() if name not in hidden}
    for name, tensor in own.items():
        if tensor is not None:
            yield f"{prefix}{name}", tensor
    for name, inner in (held.get("_modules") or {}).items():
        if isinstance(inner, Stub):
            yield from _tensors_of(inner, f"{prefix}{name}.")


def convert_files(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: bool = False,
) -> list[dict]:
    """Write released files, or all `.pt` files in folders, anew; return a record of each.

    The folder `output` gets `{name}.safetensors` of each, `text/{name}.safetensors` with what is
    left of the text part, and in `start/` the same two of what a linear file began from.
    """
    files: dict[str, Path] = {}
    for place in map(Path, paths):
        if not place.exists():
            raise missing(place)
        inside = sorted(place.rglob("*.pt")) if place.is_dir() else [place]
        if not inside:
            raise UserError(f"{place}: no .pt file in it")
        for path in inside:
            name = output_name(path)
            target = Path(output, f"{name}{SUFFIX}")
            if name in files:
                raise UserError(f"{path}: would be written to the same {target} as {files[name]}")
            if target.exists() and not overwrite:
                raise UserError(f"{target}: exists already; --force overwrites it")
            files[name] = path
    bar = tqdm(files.items(), desc="files", disable=not progress)
    return [_convert(path, name, Path(output)) for name, path in bar]


def output_name(path: str | Path) -> str:
    """Return the point of a fine-tuned file, such as `m1-n2`, or else its name without suffix."""
    point = POINT.search(Path(path).absolute().as_posix())
    return point[1] if point else Path(path).stem


def _convert(path: Path, name: str, output: Path) -> dict:
    """Write the two parts of an encoder, or a head, with where it is from in the header."""
    released = read(path)
    if released is None:
        raise UserError(f"{path}: not a file of NegMerge's authors, whose tensors begin {PREFIX!r}")
    record = {
        "file": str(path),
        "sha256": sha256(path),
        "kind": released.kind,
        "notes": released.notes,
        "tensors": released.tensors,
        "image_numbers": sum(tensor.numel() for tensor in released.state.values()),
        "text_numbers": sum(tensor.numel() for tensor in released.leftovers.values()),
    }
    record["numbers"] = record["image_numbers"] + record["text_numbers"]
    parts = {output: released.state, output / "text": released.leftovers}
    if released.start:
        parts[output / "start"] = released.start.state
        parts[output / "start" / "text"] = released.start.leftovers
    written = [folder / f"{name}{SUFFIX}" for folder, state in parts.items() if state]
    header = record | {"file": path.name, "version": __version__}
    for target in written:
        write_state(target, parts[target.parent], header)
    return record | {"written": [str(target) for target in written]}
