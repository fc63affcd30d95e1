"""Errors that a user can mend, and the hints that help to mend them."""

import difflib
import logging
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

# Names of keys in earlier versions, and what each is called now.
RENAMED = {"rule": "criterion", "other_rules": "other_criteria", "stand_ins": "replace"}

# Name and password in an address, and a token of the Hugging Face hub.
SECRETS = re.compile(r"(?<=://)[^/\s@]+(?=@)|\bhf_[A-Za-z0-9]{16,}")


def without_secrets(text: str) -> str:
    """Return a text for people, in which no password or token can be read."""
    return SECRETS.sub("***", text)


def one_line(error: Exception) -> str:
    """Return what an error of a library says, in one line; if it says nothing, its kind."""
    return " ".join(str(error).split()) or type(error).__name__


class _WithoutSecrets(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = without_secrets(record.getMessage()), ()
        return True


def hide_secrets(library: str) -> None:
    """Hide passwords and tokens in what a library logs by handlers of its own."""
    for handler in logging.getLogger(library).handlers:
        handler.addFilter(_WithoutSecrets())


class UserError(Exception):
    """Something that the user can put right, in one line without a traceback; the exit status is 1.

    The line names the file, key or tensor, what was found and what was expected.
    """

    def __init__(self, message: str = ""):
        super().__init__(without_secrets(message))


class NotFinite(UserError):
    """Numbers that became NaN or infinite, as those of a training that diverges."""


def nearest(name: object, valid: Iterable[str]) -> str:
    """Name the valid names, the most similar one first, or what an earlier name is called today."""
    names = sorted(valid)
    if RENAMED.get(name) in names:
        return f"it is now {RENAMED[name]!r}"
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}valid: {', '.join(names) or 'none'}"


def unknown(what: str, name: object, valid: Iterable[str]) -> str:
    """Return the error for a `name` that is not a known `what`, with the nearest valid one."""
    return f"unknown {what} {name!r}; {nearest(name, valid)}"


def find(what: str, name: str, rows: Mapping[str, T]) -> T:
    if name not in rows:
        raise UserError(unknown(what, name, rows))
    return rows[name]
