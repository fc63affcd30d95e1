"""What an output's folder holds beside its weights: configuration, tokenizer, model card."""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch

from negmerge.checkpoints.hub import locate
from negmerge.checkpoints.states import StoredState
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
TAGS = ("negmerge", "machine-unlearning", "merge")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# What the base's card says and its successor may say as well.
TAKEN_OVER = ("license", "license_name", "license_link", "library_name", "pipeline_tag")
# A file that tells which library made a folder, and a key that it has.
LIBRARIES = (
    ("modules.json", None, "sentence-transformers"),
    ("open_clip_config.json", None, "open_clip"),
    ("config.json", "pretrained_cfg", "timm"),
    ("config.json", "_diffusers_version", "diffusers"),
    ("config.json", "model_type", "transformers"),
)


def companions(folder: Path) -> list[Path]:
    """Return the files that belong to a model beside its weights, relative to its folder."""
    parts = _parts(folder)
    inside = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(
        path
        for path in inside
        if not any(map(LEFT_OUT.search, path.parts))
        and (not WEIGHTS.search(path.name) or path.parent.as_posix() in parts)
    )


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


def write_card(content: Path, report: Mapping, base: Path) -> None:
    """Write the card of an output."""
    lines = ["---", *_front_matter(base, report), "---", "", *_text(report)]
    write_text(content / "README.md", "\n".join(lines) + "\n")


def _front_matter(base: Path, report: Mapping) -> Iterator[str]:
    facts = {k: v for k, v in _scalars(base / "README.md").items() if k in TAKEN_OVER}
    if "adapter" in report:
        facts["library_name"] = "peft"
    elif "library_name" not in facts:
        facts["library_name"] = _library(base)
    if origin := _hub_id(base, report["base"]["name"]):
        yield f"base_model: {origin}"
    yield from (f"{key}: {facts[key]}" for key in TAKEN_OVER if facts.get(key))
    yield from ("tags:", *(f"- {tag}" for tag in TAGS))


def _text(report: Mapping) -> Iterator[str]:
    kept, numbers, lost = report["kept"], report["numbers"], report["lost_to_rounding"]
    facts = {
        "coefficient": report["coefficient"],
        "dtype": report["dtype"],
        "numbers that the vector changes": f"{kept:,} of {numbers:,} ({_share(kept, numbers)})",
        "changes that rounding took back": f"{lost:,} ({_share(lost, kept)})",
    }
    if report["method"]:
        options = f"`{json.dumps(report['options'])}`"
        facts = {"merge method": f"`{report['method']}`", "options": options} | facts
    what = "These weights are"
    if "adapter" in report:
        what, adapter = "The base with this adapter is", report["adapter"]
        share = f"{100 * adapter['lost']:.2f} % (Frobenius norm)"
        facts["rank of the adapter"] = f"{adapter['rank']}, which loses {share}"
    yield from (f"# {report['base']['name']}, after unlearning", "")
    yield (
        f"{what} base - coefficient x vector: what a pool of fine-tuned models has in common is "
        "taken away from the base, to make it forget."
    )
    yield from ("", *_table(("", ""), *facts.items(), ("made by", f"negmerge {report['version']}")))
    yield ""
    if report["command"]:
        yield from ("```", report["command"], "```", "")
    states = [("base", report["base"]), *(("pool", member) for member in report["pool"])]
    files = [
        (f"{role}: {state['name']}", file["name"], f"`{file['blake3']}`")
        for role, state in states
        for file in state["files"]
    ]
    yield from ("## Made from", "", *_table(("", "file", "BLAKE3"), *files))
    if "evaluation" in report:
        yield from _evaluation(report["evaluation"], report["coefficient"])
    if report["notes"]:
        yield from ("", "## Notes", "", *(f"- {note}" for note in report["notes"]))


def _evaluation(evaluation: Mapping, chosen: float) -> Iterator[str]:
    yield from ("", "## Choice of the coefficient", "")
    yield (
        "The lowest forget score at which the control score is at least "
        f"{100 * evaluation['keep']:g} % of the base's, measured by"
    )
    yield from ("", "```", evaluation["command"], "```", "")
    keys, rows = ("coefficient", "forget", "control"), []
    for measured in evaluation["measurements"]:
        bold = "**" if measured["coefficient"] == chosen else ""
        rows.append([f"{bold}{measured[key]:.6g}{bold}" for key in keys])
    yield from _table(keys, *rows)


def _table(*rows: Iterable[object]) -> list[str]:
    """Return rows, the first of which is the head, as a table of Markdown."""
    head, *lines = (f"| {' | '.join(map(str, row))} |" for row in map(list, rows))
    return [head, "|" + " --- |" * len(list(rows[0])), *lines]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.2f} %"


def _hub_id(base: Path, name: str) -> str | None:
    """Return the id of the base on the hub, as far as it says so itself."""
    if HUB_ID.fullmatch(name.partition("@")[0]):
        return name.partition("@")[0]
    named = _config(base / "config.json").get("_name_or_path")
    if isinstance(named, str) and HUB_ID.fullmatch(named) and not Path(named).exists():
        return named
    return None


def _library(base: Path) -> str | None:
    for file, key, library in LIBRARIES:
        if (base / file).is_file() and (key is None or key in _config(base / file)):
            return library
    return None


def _config(path: Path) -> dict:
    try:
        return read_json(path)
    except UserError:
        return {}


def _scalars(card: Path) -> dict[str, str]:
    """Read the plain entries of a card's front matter."""
    if not card.is_file():
        return {}
    text = card.read_text(encoding="utf-8", errors="replace")
    front = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", text, re.DOTALL)
    rows = front[1].splitlines() if front else []
    entries = (re.fullmatch(r"([\w-]+):[ \t]+(\S.*?)[ \t]*", row) for row in rows)
    return {entry[1]: entry[2] for entry in entries if entry}
