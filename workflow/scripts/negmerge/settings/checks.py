"""Checks of what files and options hold, with errors that a person can act on."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from negmerge.errors import UserError, nearest, unknown
from negmerge.settings.recipe import Settings

T = TypeVar("T")

Value = bool | int | float | str

NUMBER = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"  # of YAML 1.2
SHOWN = 80  # characters of a wrong value that an error shows
KEY = "[key]"  # what pydantic puts behind a wrong key of a mapping


@dataclass(frozen=True, kw_only=True)
class Described:
    """A method, as far as a study must know it: what tables call it, its source and its options."""

    title: str
    reference: str
    options: type[Settings] = Settings

    def check(self, where: str, options: Mapping[str, object]) -> Settings:
        """Check options, and fill in the defaults of the others; errors begin with `where`."""
        return checked(where, self.options, options)


def checked(where: str, model: type[Settings], options: Mapping[str, object]) -> Settings:
    """Do what `Described.check` does, for options that are none of a method."""
    for name in options:
        if name not in model.model_fields:
            raise UserError(f"{where}: {unknown('option', name, model.model_fields)}")
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        finding = explain(error, options).removeprefix("the file: ")
        raise UserError(f"{where}: {finding}") from error


def validate(path: str | Path, content: Any, model: type[T] | Any) -> T:
    """Make what a file holds an instance of `model`."""
    try:
        return TypeAdapter(model).validate_python(content)
    except ValidationError as error:
        # A key may hold a line break, an error is one line.
        finding = explain(error, content).replace("\n", "\\n")
        raise UserError(f"{path}: {finding}") from error


def to_three_digits(value: float) -> float:
    """Round a value between two of a logarithmic grid; more digits would only make long names."""
    return float(f"{value:.3g}")


def require(where: str, what: str, names, valid) -> None:
    """Check that names are known."""
    for name in names:
        if name not in valid:
            raise ValueError(f"{where}: {unknown(what, name, valid)}")


def explain(error: ValidationError, content: Any = None) -> str:
    """Put the first finding of a validation error, and how many more there are, in one line."""
    findings: dict[tuple, list[Mapping]] = {}
    for finding in error.errors():
        findings.setdefault(_place(finding, content), []).append(finding)
    first = next(iter(findings))
    # The value may be one thing or another, and each has its findings. The deepest is about the
    # one that was meant: a wrong number in a mapping, not that a mapping is not a number.
    place = max((p for p in findings if p[: len(first)] == first), key=len)
    text = _explain(place, findings[place])
    more = len(findings) - len({first, place})
    return f"{text} (and {more} more)" if more else text


def _place(finding: Mapping, content: Any) -> tuple:
    """Return the keys that lead to a finding, without the members of unions on pydantic's way."""
    place, inner, location = [], content, finding["loc"]
    for number, step in enumerate(location, 1):
        is_missing = finding["type"] == "missing" and number == len(location)
        in_list = isinstance(inner, list) and isinstance(step, int)
        if in_list or (isinstance(inner, Mapping) and step in inner):
            inner = inner[step]
        elif content is not None and step != KEY and not is_missing:
            continue
        place.append(step)
    return tuple(place)


def _explain(place: tuple, findings: Sequence[Mapping]) -> str:
    """Describe what is wrong at one place; several findings there are alternatives."""
    keys = [str(step) for step in place if step != KEY]
    where = ".".join(keys) or "the file"
    finding = next((f for f in findings if f["type"] == "unknown_key"), findings[0])
    if finding["type"] == "unknown_key":
        inside, key = f" in {where}" if keys else "", finding["ctx"]["key"]
        return f"unknown key {key!r}{inside}; {nearest(key, finding['ctx']['valid'])}"
    if finding["type"] == "invalid_key":
        return f"the key {finding['input']!r} is not text; put it in quotes"
    if finding["type"] == "missing":
        return f"the key {where} is missing"
    if finding["type"].startswith("union_tag"):
        tag = finding["ctx"]["discriminator"].strip("'")
        if finding["type"] == "union_tag_not_found":
            return f"the key {where}.{tag} is missing"
        valid = [name.strip("'") for name in finding["ctx"]["expected_tags"].split(", ")]
        return f"{where}: {unknown(tag, finding['ctx']['tag'], valid)}"
    if finding["type"] == "value_error":
        return f"{where}: {finding['msg'].removeprefix('Value error, ')}"
    value = repr(finding["input"])
    value = value if len(value) <= SHOWN else f"{value[: SHOWN - 3]}..."
    messages = dict.fromkeys(_message(finding) for finding in findings)
    hint, text = "", finding["input"]
    if finding["type"] in ("float_type", "int_type") and isinstance(text, str):
        hint = f" (a text, because of its quotes; write {text})" * bool(re.fullmatch(NUMBER, text))
    return f"{where} is {value}: {' or '.join(messages)}{hint}"


def _message(finding: Mapping) -> str:
    message = finding["msg"].partition(" or instance of ")[0].partition(" or object to ")[0]
    return message[0].lower() + message[1:]
