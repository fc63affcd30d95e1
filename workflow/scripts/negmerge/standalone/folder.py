"""What a model's folder holds beside its weights, and how an output gets it."""

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from negmerge.checkpoints.hub import locate
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError
from negmerge.files import read_json, write_text

CONFIG = "config.json"
# Weights in any format, and the same model made for other programs: all of it is the old model.
WEIGHTS = re.compile(
    r"\.(safetensors|bin|pt|pth|th|ckpt|h5|msgpack|ot|gguf|ggml|onnx|onnx_data|tflite|mlmodel|npz)$"
    r"|\.(safetensors|bin)\.index(\.\w+)?\.json$"
)
# Of the base alone: its card, the state of its training, what version control keeps.
LEFT_OUT = re.compile(
    r"^(README\.md|\.gitattributes|\.git|\.cache|\.huggingface|negmerge\.json|runs|logs|"
    r"checkpoint-\d+|onnx|openvino|coreml|original|gguf|trainer_state\.json|\..*\.partial)$"
)
# sentence-transformers lists its parts, some of which have weights of their own.
PARTS = "modules.json"
DTYPE_KEYS = ("torch_dtype", "dtype")


def companions(folder: Path) -> list[Path]:
    """Return the files that belong to a model beside its weights, relative to its folder."""
    return sorted(path.relative_to(folder) for path in _walk(folder, folder, _parts(folder)))


def part_weights(folder: Path) -> list[Path]:
    """Return weights in the folders of a model's further parts, which are copied as they are."""
    return [path for path in companions(folder) if WEIGHTS.search(path.name)]


def copy_companions(folder: Path, content: Path) -> None:
    """Copy what belongs to a model beside its weights."""
    for path in companions(folder):
        target = content / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / path, target)


def set_config(content: Path, dtype: torch.dtype | None, untied: bool) -> None:
    """Change the copied configuration where it would no longer be true."""
    path = content / CONFIG
    if not path.is_file() or not (dtype or untied):
        return
    config = read_json(path)
    if dtype is not None:
        _set_dtype(config, str(dtype).removeprefix("torch."))
    if untied:
        config["tie_word_embeddings"] = False
    write_text(path, json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def stem(state: StoredState) -> str:
    """Return what the output's weights are called, without a suffix: as the base's."""
    name = state.path.name if state.path.is_file() else state.files[0].name
    name = re.sub(r"(-\d+-of-\d+)?\.\w+(\.index(\.\w+)?\.json)?$", "", name)
    # PyTorch's own format had other names; in safetensors they would not be found.
    return re.sub(r"^(open_clip_)?pytorch_model", r"\1model", name)


def base_folder(place: str | Path) -> Path | None:
    """Return the folder of a model that was given as one."""
    path = locate(place)
    return path if path.is_dir() else None


def require_replaceable(output: Path, force: bool, inputs: Iterable[Path]) -> None:
    """Check that an output may be written."""
    if not output.exists():
        return
    if not force:
        raise UserError(f"{output}: exists already; --force overwrites it")
    if not output.is_dir():
        return
    inside = [path for path in inputs if path.resolve().is_relative_to(output.resolve())]
    if inside:
        raise UserError(f"{output}: holds the input {inside[0].name}; choose another output")
    if any(output.iterdir()) and not (output / "negmerge.json").is_file():
        raise UserError(
            f"{output}: a folder that negmerge did not write, which --force does not overwrite"
        )


def _walk(folder: Path, top: Path, parts: set[str]) -> Iterator[Path]:
    for path in folder.iterdir():
        if LEFT_OUT.search(path.name):
            continue
        if path.is_dir():
            yield from _walk(path, top, parts)
        elif not WEIGHTS.search(path.name) or path.parent.relative_to(top).as_posix() in parts:
            yield path


def _parts(folder: Path) -> set[str]:
    """Return the folders of the parts of a sentence-transformers model."""
    path = folder / PARTS
    if not path.is_file():
        return set()
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {row["path"] for row in rows} - {""}
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: not a list of parts ({error})") from error


def _set_dtype(config: dict, dtype: str) -> None:
    """Set the dtype, also of the configurations of parts, where there is one."""
    for key, value in config.items():
        if isinstance(value, dict):
            _set_dtype(value, dtype)
        elif key in DTYPE_KEYS and isinstance(value, str):
            config[key] = dtype
