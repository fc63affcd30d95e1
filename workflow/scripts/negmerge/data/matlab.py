"""MATLAB files of version 5, in which some data sets keep labels or images."""

import io
from pathlib import Path

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from negmerge.errors import UserError


def read_variables(content: bytes | str | Path, names: list[str], where: str) -> list[np.ndarray]:
    """Read variables of a MATLAB file; dimensions of length 1 are dropped.

    Args:
        content: the file's path, or its content.
        names: the variables.
        where: what errors call the file.

    Raises:
        UserError: it is not such a file, or has no such variable.
    """
    try:
        source = io.BytesIO(content) if isinstance(content, bytes) else str(content)
        found = loadmat(source, squeeze_me=True, variable_names=names)
    # What SciPy raises depends on where a broken file breaks.
    except (MatReadError, ValueError, TypeError, NotImplementedError, OSError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{where}: not a whole MATLAB file ({reason:.200})") from error
    for name in names:
        if name not in found:
            raise UserError(f"{where}: holds no variable {name}")
    return [found[name] for name in names]


def field(records: np.ndarray, name: str, where: str) -> list:
    """Give one field of all records of a struct array.

    Raises:
        UserError: the records have no such field.
    """
    if name not in (records.dtype.names or ()):
        raise UserError(f"{where}: the records have no field {name}")
    values = np.atleast_1d(records[name])
    return [value.item() if isinstance(value, np.ndarray) else value for value in values]
