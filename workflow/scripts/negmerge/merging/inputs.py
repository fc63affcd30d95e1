"""Which of the vectors of a merge an experiment has chosen."""

from collections.abc import Sequence
from pathlib import Path

from negmerge.errors import UserError, unknown
from negmerge.files import read_json_records


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
