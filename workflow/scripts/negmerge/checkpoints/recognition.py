"""Which format a file has, told by its first bytes."""

from pathlib import Path

from negmerge.checkpoints.safetensors_file import StateFile
from negmerge.checkpoints.stored import StoredState
from negmerge.checkpoints.torch_file import TorchFile
from negmerge.errors import UserError

# What lies where weights should be: how it starts, what it is, and what to do about it.
FOREIGN = (
    (b"version https://git-lfs", "a Git LFS pointer in place of the weights", "run `git lfs pull`"),
    (b"<", "a web page in place of the weights", "download the file itself"),
    (b"GGUF", "a GGUF file of llama.cpp", "give the model that it was made from"),
    (b"\x89HDF", "an HDF5 file of Keras", "give it as safetensors"),
    (b"\x93NUMPY", "an array of NumPy", "give the model as safetensors"),
    (b"\x1f\x8b", "a file packed by gzip", "unpack it"),
)


def open_file(path: Path, key: str | None = None) -> StoredState:
    """Open a safetensors file or a file of `torch.save`, whatever it is called."""
    with open(path, "rb") as stream:
        start = stream.read(64)
    if not start:
        raise UserError(f"{path}: an empty file, expected weights")
    # The header of a safetensors file, after its length in eight bytes.
    if start[8:9] == b"{":
        return StateFile(path)
    for begin, kind, advice in FOREIGN:
        if start.lstrip().startswith(begin):
            raise UserError(f"{path}: {kind}; {advice}")
    # A zip archive or a pickle: torch since 1.6 and before.
    if not start.startswith((b"PK", b"\x80")):
        return StateFile(path)
    if path.suffix == ".safetensors":  # torch goes by this name
        raise UserError(f"{path}: a file of torch.save; rename it to {path.stem}.pt")
    return TorchFile(path, key)
