"""What a merge is made of: its files and their hashes, and which of them was chosen."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from negmerge.checkpoints import StoredState
from negmerge.errors import UserError, unknown
from negmerge.files import read_json_records, sha256


class Hashes:
    """Hashes files in a thread of its own, while they are merged."""

    def __enter__(self) -> "Hashes":
        self._executor = ThreadPoolExecutor(1)
        self._found: dict[Path, Future] = {}
        return self

    def __exit__(self, *_) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def start(self, states: Iterable[StoredState]) -> None:
        """Begin with all files of some states."""
        for path in (path for state in states for path in state.files):
            self._found[path] = self._executor.submit(sha256, path)

    def known(self, path: Path) -> str:
        """Wait for the hash of a file."""
        return self._found[path].result()

    def unknown(self, path: Path) -> str:
        """Return a text as long as a hash."""
        return "0" * 64


def identity(state: StoredState, hash_of: Callable[[Path], str] = sha256) -> list[dict[str, str]]:
    """Name the files of a state so that they are recognised in any place."""
    return [{"name": path.name, "sha256": hash_of(path)} for path in state.files]


def identities(
    files: Sequence[StoredState], base: StoredState | None, hash_of: Callable[[Path], str]
) -> dict[str, list | None]:
    """Name the files of a merge, as its report does."""
    inputs = [named for file in files for named in identity(file, hash_of)]
    return {"inputs": inputs, "base": None if base is None else identity(base, hash_of)}


def chosen(choice: str | Path, vectors: Sequence[str | Path]) -> dict[str, int]:
    """Find the vectors that were chosen by the rules of an experiment.

    Args:
        choice: choices as `select` writes them, that of the main rule first.
        vectors: files named after their vectors.

    Returns:
        By rule, in the order of the choices, the place of the vector, from 0.

    Raises:
        UserError: the choices cannot be read, or one names none of the vectors.
    """
    names = [Path(path).name.removesuffix(".safetensors") for path in vectors]
    found = {}
    for one in read_json_records(choice, keys=["vector", "rule"]):
        if one["vector"] not in names:
            raise UserError(f"{choice}: {unknown('vector', one['vector'], names)}")
        found[one["rule"]] = names.index(one["vector"])
    return found
