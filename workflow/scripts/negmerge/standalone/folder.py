"""An output's folder: how it is made, what it holds beside weights, and its way to the hub."""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
import yaml
from huggingface_hub import HfApi, ModelCard, ModelCardData
from huggingface_hub.utils import validate_repo_id

from negmerge.checkpoints.hub import is_gguf, locate
from negmerge.checkpoints.states import StoredState
from negmerge.errors import UserError, hide_secrets, one_line
from negmerge.files import UNWRITABLE, read_json, read_json_records, unwritable, write_text

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
DTYPE_KEYS = ("torch_dtype", "dtype")
TAGS = ("negmerge", "machine-unlearning", "merge")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# What the base's card says and its successor may say as well.
TAKEN_OVER = (
    *("language", "license", "license_name", "license_link", "library_name", "pipeline_tag"),
)


def copy_companions(folder: Path, content: Path) -> None:
    """Copy what belongs to a model beside its weights."""
    parts: set[str] = set()
    # sentence-transformers lists its parts, some of which have weights of their own.
    if (folder / "modules.json").is_file():
        parts = {row["path"] for row in read_json_records(folder / "modules.json", ["path"])} - {""}
    for source in folder.rglob("*"):
        path = source.relative_to(folder)
        is_old = WEIGHTS.search(path.name) and path.parent.as_posix() not in parts
        if source.is_file() and not is_old and not any(map(LEFT_OUT.search, path.parts)):
            (content / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, content / path)


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
    if name.endswith(".gguf"):
        return "model"
    name = re.sub(r"(-\d+-of-\d+)?\.\w+(\.index(\.\w+)?\.json)?$", "", name)
    # PyTorch's own format had other names; in safetensors they would not be found.
    return re.sub(r"^(open_clip_)?pytorch_model", r"\1model", name)


def base_folder(place: str | Path) -> Path | None:
    """Return the place of a model that becomes a folder: a folder, or a file that has it all."""
    path = locate(place)
    return path if path.is_dir() or is_gguf(path) else None


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


def _set_dtype(config: dict, dtype: str) -> None:
    """Set the dtype, also of the configurations of parts, where there is one."""
    for key, value in config.items():
        if isinstance(value, dict):
            _set_dtype(value, dtype)
        elif key in DTYPE_KEYS and isinstance(value, str):
            config[key] = dtype


def write_card(content: Path, report: Mapping, base: Path) -> None:
    """Write the card of an output, with what the base's card says that is still true."""
    card = _card(base / "README.md")
    facts = {key: card[key] for key in TAKEN_OVER if key in card}
    if "adapter" in report:
        facts["library_name"] = "peft"
    origin = _hub_id(base, report["base"]["name"])
    data = ModelCardData(base_model=origin, tags=list(TAGS), **facts)
    text = "\n".join(_text(report))
    ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n").save(content / "README.md")


def _card(path: Path) -> dict:
    """Return what the head of a card says; nothing where it has none that can be read."""
    try:
        if path.read_text(encoding="utf-8").startswith("---"):
            return ModelCard.load(path, ignore_metadata_errors=True).data.to_dict()
    except (OSError, ValueError, yaml.YAMLError):
        pass
    return {}


def _text(report: Mapping) -> Iterator[str]:
    kept, numbers, lost = report["kept"], report["numbers"], report["lost_to_rounding"]
    what = "These weights are"
    rows = [
        ("coefficient", report["coefficient"]),
        ("dtype", report["dtype"]),
        ("numbers that the vector changes", f"{kept:,} of {numbers:,} ({_share(kept, numbers)})"),
        ("changes that rounding took back", f"{lost:,} ({_share(lost, kept)})"),
        ("made by", f"negmerge {report['version']}"),
    ]
    if report["method"]:
        options = f"`{json.dumps(report['options'])}`"
        rows = [("merge method", f"`{report['method']}`"), ("options", options), *rows]
    if "adapter" in report:
        what, adapter = "The base with this adapter is", report["adapter"]
        loss = f"{adapter['rank']}, which loses {100 * adapter['lost']:.2f} % (Frobenius norm)"
        rows.append(("rank of the adapter", loss))
    yield f"# {report['base']['name']}, after unlearning"
    yield (
        f"\n{what} base - coefficient x vector: what a pool of fine-tuned models has in common is "
        "taken away from the base, to make it forget.\n"
    )
    yield from _table(("", ""), rows)
    if report["command"]:
        yield f"\n```\n{report['command']}\n```"
    yield "\n## Made from\n"
    states = [("base", report["base"]), *(("pool", member) for member in report["pool"])]
    files = [
        (f"{role}: {state['name']}", file["name"], f"`{file['blake3']}`")
        for role, state in states
        for file in state["files"]
    ]
    yield from _table(("", "file", "BLAKE3"), files)
    if "evaluation" in report:
        evaluation, keys = report["evaluation"], ("coefficient", "forget", "control")
        yield (
            "\n## Choice of the coefficient\n\nThe lowest forget score at which the control score "
            f"is at least {100 * evaluation['keep']:g} % of the base's, measured by\n\n```\n"
            f"{evaluation['command']}\n```\n"
        )
        rows = []
        for row in evaluation["measurements"]:
            bold = "**" if row["coefficient"] == report["coefficient"] else ""
            rows.append([f"{bold}{row[key]:.6g}{bold}" for key in keys])
        yield from _table(keys, rows)
    if report["notes"]:
        yield from ("\n## Notes\n", *(f"- {note}" for note in report["notes"]))


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """Return a table of Markdown."""
    first, *others = (f"| {' | '.join(map(str, row))} |" for row in [head, *rows])
    return [first, re.sub("[^|]+", " --- ", first), *others]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.2f} %"


def _hub_id(base: Path, name: str) -> str | None:
    """Return the id of the base on the hub, as far as it says so itself."""
    if HUB_ID.fullmatch(name.partition("@")[0]):
        return name.partition("@")[0]
    with suppress(UserError):
        named = str(read_json(base / CONFIG).get("_name_or_path"))
        if HUB_ID.fullmatch(named) and not Path(named).exists():
            return named
    return None


def require_hub(repository: str, is_folder: bool) -> None:
    """Check, before hours of work, that there will be a folder, and a token to upload it."""
    if not is_folder:
        raise UserError(f"--push-to {repository}: uploads a folder that one job writes, no other")
    with _on_the_hub(repository):
        validate_repo_id(repository)
        HfApi().whoami()


def push(folder: Path, repository: str) -> str:
    """Upload a folder to a repository, which is made, private, if it is not there."""
    api = HfApi()
    with _on_the_hub(repository):
        url = api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(
            repo_id=url.repo_id, folder_path=folder, commit_message="Upload by negmerge"
        )
    return str(url)


@contextmanager
def _on_the_hub(repository: str) -> Iterator[None]:
    hide_secrets("huggingface_hub")
    try:
        yield
    except Exception as error:  # The library and those on which it builds have many errors.
        raise UserError(
            f"--push-to {repository}: the hub does not take it: {one_line(error)}"
        ) from error


@contextmanager
def working(output: Path, folder: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder to make an output in, which is gone at the end, whatever happens.

    What a killed run left there is removed first. `folder`, in which it lies, is beside the output
    if none is given.
    """
    folder = folder or output.with_name(f".{output.name}.partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with only_one(folder, output):
            try:
                for path in folder.iterdir():
                    remove(path)
                content = folder / "content"
                content.mkdir()
                yield content
            finally:
                remove(folder)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise unwritable(output, error.errno) from error
        raise


def publish(result: Path, output: Path) -> None:
    """Put a file or folder in the place of the output; what was there stays beside the result."""
    # A file is replaced at once, a folder has to go before another takes its place.
    if output.is_dir() or (output.exists() and result.is_dir()):
        os.rename(output, result.with_name(f"{result.name}.old"))
    os.replace(result, output)


@contextmanager
def only_one(folder: Path, output: Path) -> Iterator[None]:
    """Hold a lock on a folder, which the system takes back however the process ends."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UserError(f"{output}: another process is writing it") from None
    finally:
        os.close(lock)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
