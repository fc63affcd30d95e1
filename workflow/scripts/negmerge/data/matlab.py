"""MATLAB files of version 5, in which some data sets keep labels or images."""

import io
from pathlib import Path
from typing import TypeVar

import numpy as np
from scipy.io import loadmat

from negmerge.errors import UserError, one_line

T = TypeVar("T", int, str)


def read_variables(content: bytes | str | Path, names: list[str], where: str) -> list[np.ndarray]:
    """Read variables of a MATLAB file; dimensions of length 1 are dropped."""
    try:
        source = io.BytesIO(content) if isinstance(content, bytes) else str(content)
        found = loadmat(source, squeeze_me=True, variable_names=names)
    # What SciPy raises depends on where a broken file breaks.
    except Exception as error:
        reason = one_line(error)
        raise UserError(f"{where}: not a whole MATLAB file ({reason:.200})") from error
    for name in names:
        if name not in found:
            raise UserError(f"{where}: holds no variable {name}")
    # A single record is a `void`, whose fields asarray would hide; a single number is not an array.
    values = [found[name] for name in names]
    return [value if isinstance(value, np.void) else np.asarray(value) for value in values]


def field(records: np.ndarray, name: str, kind: type[T], where: str) -> list[T]:
    """Return one field of all records of a struct array."""
    if name not in (records.dtype.names or ()):
        raise UserError(f"{where}: the records have no field {name}")
    return [
        _value(value, kind, f"{where}: {name} of record {number}")
        for number, value in enumerate(np.atleast_1d(records[name]), 1)
    ]


def _value(value: object, kind: type[T], where: str) -> T:
    """Return one value as it is meant: MATLAB keeps whole numbers as floats, too."""
    if isinstance(value, np.ndarray | np.generic) and value.size == 1:
        value = value.item()
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, kind):
        expected = "a whole number" if kind is int else "text"
        raise UserError(f"{where} is {' '.join(repr(value).split()):.60}, expected {expected}")
    return value
