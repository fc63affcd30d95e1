"""Released files written as safetensors files with open_clip's names."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from negmerge import __version__
from negmerge.checkpoints.states import write_state
from negmerge.errors import UserError
from negmerge.files import sha256
from negmerge.released.reading import Released, read

SUFFIX = ".safetensors"
# Where the authors put what was fine-tuned with RandAugment of M operations' strength and N
# operations: clip-vit-b-32_cars_rand-m1-n2_finetuned.pt, as published, and
# checkpoints_rand-m1-n2/CarsVal/finetuned.pt, as their scripts write.
POINT = re.compile(r"_rand-(m\d+-n\d+)(?:_|/[^/]+/)(?:linear_)?finetuned\.pt$")


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
    files = {output_name(path): path for path in _listed(paths)}
    for name in files:
        path = Path(output, f"{name}{SUFFIX}")
        if path.exists() and not overwrite:
            raise UserError(f"{path}: exists already; --force overwrites it")
    return [
        _convert(path, name, Path(output))
        for name, path in tqdm(files.items(), desc="files", disable=not progress)
    ]


def output_name(path: str | Path) -> str:
    """Return the point of a fine-tuned file, such as `m1-n2`, or else its name without suffix."""
    point = POINT.search(Path(path).absolute().as_posix())
    return point[1] if point else Path(path).stem


def _listed(paths: Iterable[str | Path]) -> list[Path]:
    """List the files, and those in folders."""
    files: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(path.rglob("*.pt")) if path.is_dir() else [path]
        if not inside:
            raise UserError(f"{path}: no .pt file in it")
        files += inside
    for name, count in Counter(map(output_name, files)).items():
        if count > 1:
            twice = [str(path) for path in files if output_name(path) == name]
            raise UserError(
                f"{twice[1]}: would be written to the same {name}{SUFFIX} as {twice[0]}"
            )
    return files


def _convert(path: Path, name: str, output: Path) -> dict:
    released = read(path)
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
    written = _write(released, name, output, record)
    if released.start:
        written += _write(released.start, name, output / "start", record)
    return record | {"written": [str(place) for place in written]}


def _write(released: Released, name: str, folder: Path, record: dict) -> list[Path]:
    """Write the two parts of an encoder, or a head, with where it is from in the header."""
    header = record | {"file": Path(record["file"]).name, "version": __version__}
    parts = {folder: released.state, folder / "text": released.leftovers}
    written = []
    for place, state in parts.items():
        if state:
            written.append(place / f"{name}{SUFFIX}")
            write_state(written[-1], state, header)
    return written
