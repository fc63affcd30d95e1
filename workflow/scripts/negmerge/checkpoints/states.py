"""States (name -> tensor), and their safetensors files: read in parts or whole, and written."""

import difflib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from negmerge.checkpoints.divergence import TIMES
from negmerge.errors import NotFinite, UserError
from negmerge.files import replacing

State = dict[str, Tensor]
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
CODES = {dtype: code for code, dtype in DTYPES.items()}
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def require_finite(tensor: Tensor, name: str, where: str | Path) -> Tensor:
    """Return the tensor if all its numbers are finite, and none has 8 bits or less."""
    if tensor.is_floating_point() and tensor.dtype not in FLOATS:
        raise UserError(f"{where}: tensor {name!r} holds {tensor.dtype}, expected 16 to 64 bits")
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        bad = int((~torch.isfinite(tensor)).sum())
        raise NotFinite(f"{where}: tensor {name!r} holds {bad} NaN or infinite of {tensor.numel()}")
    return tensor


def require_same_tensors(
    reference: Mapping[str, tuple[int, ...]],
    shapes: Mapping[str, tuple[int, ...]],
    where: str | Path,
) -> None:
    """Check that a state has exactly the tensor names and shapes of a reference."""
    missing = sorted(set(reference) - set(shapes))
    extra = sorted(set(shapes) - set(reference))
    if missing:
        line = f"{where}: tensor {missing[0]!r} is missing ({len(missing)} in all)"
        if close := difflib.get_close_matches(missing[0], extra, n=1, cutoff=0):
            line += f"; the nearest of {len(extra)} that are not expected is {close[0]!r}"
        raise UserError(line)
    if extra:
        raise UserError(f"{where}: tensor {extra[0]!r} is not expected ({len(extra)} in all)")
    for name, shape in reference.items():
        if tuple(shapes[name]) != tuple(shape):
            raise UserError(
                f"{where}: tensor {name!r} has shape {list(shapes[name])}, expected {list(shape)}"
            )


@dataclass(frozen=True)
class Layout:
    """The dtype and shape of a tensor."""

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """The bytes of its numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


class StoredState:
    """A state on disk; its names are sorted."""

    path: Path
    files: list[Path]
    names: list[str]
    # The texts of a safetensors header; empty for other formats and for shards.
    metadata: dict[str, str]
    # Lines that tell the user what was done to open it, beyond the obvious.
    notes: Sequence[str] = ()

    def __init__(
        self,
        path: str | Path,
        layouts: Mapping[str, Layout],
        files: Sequence[Path] = (),
        metadata: Mapping[str, str] | None = None,
    ):
        self.path, self.layouts, self.names = Path(path), layouts, sorted(layouts)
        self.files, self.metadata = list(files) or [self.path], dict(metadata or {})

    @cached_property
    def _flat(self) -> dict[str, Tensor]:
        """The tensors that were read, flattened."""
        return {}

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of one tensor, without reading it."""
        return self.layouts[name].shape

    def dtype(self, name: str) -> torch.dtype:
        """Return the dtype of one tensor, without reading it."""
        dtype = self.layouts[name].dtype
        if dtype not in CODES:
            raise UserError(
                f"{self.path}: tensor {name!r} has dtype {dtype}, which is not supported"
            )
        return dtype

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """Return the numbers start..stop of a flattened tensor, as they are stored.

        They may lie in the mapped file, for all who read it, so they must not be changed.
        """
        if name not in self._flat:
            self._flat[name] = self._flattened(name)
        return self._flat[name][start:stop]

    def place(self, name: str) -> tuple[Path, int] | None:
        """Return the file and the byte where a tensor's numbers start; None if that is unknown."""
        return None

    def is_float(self, name: str) -> bool:
        """Whether the tensor holds floating-point numbers."""
        return self.dtype(name).is_floating_point

    def __getitem__(self, name: str) -> Tensor:
        """Read one tensor into memory of its own."""
        shape = self.shape(name)
        flat = self.numbers(name, 0, math.prod(shape)).clone()
        return require_finite(flat.view(shape), name, self.path)

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """Read the tensors one after the other, in the order of their names."""
        for name in self.names:
            yield name, self[name]

    def _flattened(self, name: str) -> Tensor:
        raise NotImplementedError


class StateFile(StoredState):
    """A safetensors file, mapped."""

    def __init__(self, path: str | Path):
        try:
            # This checks the header against the size of the file, so that no offset can lie.
            with safe_open(str(path), framework="pt"), open(path, "rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                header = json.loads(stream.read(length))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{path}: not a whole safetensors file ({error}); delete it, and make or fetch it "
                "again"
            ) from error
        metadata = header.pop("__metadata__", None)
        layouts = {
            name: Layout(DTYPES.get(entry["dtype"], entry["dtype"]), tuple(entry["shape"]))
            for name, entry in header.items()
        }
        super().__init__(path, layouts, metadata=metadata)
        self._begins = {n: 8 + length + entry["data_offsets"][0] for n, entry in header.items()}

    @cached_property
    def _bytes(self) -> Tensor:
        """The whole file, mapped: what is read of it stays in the system's memory of files."""
        # A private mapping: who writes to it by mistake changes no file.
        return torch.from_file(
            str(self.path), shared=False, size=self.path.stat().st_size, dtype=torch.uint8
        )

    def place(self, name: str) -> tuple[Path, int]:
        """Return the file and the byte where a tensor's numbers start."""
        return self.path, self._begins[name]

    def _flattened(self, name: str) -> Tensor:
        """Return a whole tensor in the mapped file."""
        count, begin, dtype = math.prod(self.shape(name)), self._begins[name], self.dtype(name)
        if not count:
            return torch.empty(0, dtype=dtype)
        # To touch a mapping beyond the end of its file would kill the process.
        if self.path.stat().st_size < begin + count * dtype.itemsize:
            raise UserError(f"{self.path}: tensor {name!r} ends too early; the file was cut")
        # A header of any length is allowed, so numbers may lie at odd places, where a view of the
        # bytes as numbers is refused.
        return torch.frombuffer(self._bytes.numpy(), dtype=dtype, count=count, offset=begin)


def read_state(path: str | Path) -> State:
    """Read a whole safetensors file; `opening.open_state` reads any format."""
    return dict(StateFile(path).items())


def write_state(path: str | Path, state: Mapping[str, Tensor], metadata: Mapping[str, object]):
    """Write a state and its `metadata` (JSON values) at once or not at all.

    Equal states and metadata give equal bytes. Tied tensors are written once for each name.
    """
    tensors: State = {}
    places = set()
    for name in sorted(state):
        tensor = require_finite(state[name], name, path).detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        # safetensors refuses two tensors in one memory.
        tensors[name] = tensor.clone() if place in places else tensor
        places.add(place)
    # One entry, since safetensors does not keep the order of several.
    header = {"negmerge": json.dumps(metadata, sort_keys=True)}
    with replacing(path) as partial:
        save_file(tensors, partial, metadata=header)


def read_vector(path: str | Path) -> State:
    """Read a task vector as a coefficient scales it: in units of the mean, if it says so."""
    times = read_metadata(path).get(TIMES, 1)
    state = read_state(path)
    if times == 1:
        return state
    # A tensor divides as the mean does, a number might not.
    return {
        name: tensor / torch.tensor(times, dtype=tensor.dtype) for name, tensor in state.items()
    }


def read_metadata(path: str | Path) -> dict:
    """Read the metadata that `write_state` put into a file's header; empty for other files."""
    try:
        return json.loads(StateFile(path).metadata.get("negmerge", "{}"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its header entry `negmerge` is not JSON ({error})") from error


def shapes(state: Mapping[str, Tensor] | StoredState) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a state in memory or on disk."""
    if isinstance(state, StoredState):
        return {name: state.shape(name) for name in state.names}
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
