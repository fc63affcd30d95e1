"""What pickles name, told without loading them, and stand-ins that do nothing for their classes."""

import io
import pickletools
from _compat_pickle import IMPORT_MAPPING
from typing import BinaryIO

from negmerge.errors import UserError

# Where tuples are nested more than a hundred thousand deep, Python's hash of them ends the process.
# A pickle of a thousand tensors has five thousand tuples.
TUPLES = 50_000


class StandIn:
    """An object without behaviour, which keeps the state that it is given."""

    def __init__(self, *ignored: object):
        pass

    def __new__(cls, *ignored: object) -> "StandIn":
        """Make one from any arguments."""
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Keep a state, if it is one of attributes."""
        if isinstance(state, dict):
            self.__dict__.update(state)


def stand_in(module: str, name: str) -> type[StandIn]:
    """Return a class that torch's safe loader takes for the one that a pickle names."""
    return type(name, (StandIn,), {"__module__": module})


def named_in(pickled: bytes | BinaryIO, where: object) -> set[tuple[str, str]]:
    """Return the module and name of all classes and functions that a pickle names, or raise where
    it has so many tuples that it could not be loaded safely.
    """
    named, tuples = set(), 0
    stream = io.BytesIO(pickled) if isinstance(pickled, bytes) else pickled
    try:
        for operation, argument, _ in pickletools.genops(stream):
            tuples += operation.name.startswith("TUPLE")
            if operation.name == "GLOBAL":
                module, name = argument.split(" ")
                # torch writes the names that modules had in Python 2.
                named.add((IMPORT_MAPPING.get(module, module), name))
    except ValueError as error:
        reason = f"not a whole file of torch.save ({error}); fetch it again"
        raise UserError(f"{where}: {reason}") from error
    if tuples > TUPLES:
        raise UserError(f"{where}: its pickle has {tuples:,} tuples, expected at most {TUPLES:,}")
    return named
