"""Checks of what files and options hold, with errors that a person can act on."""

import inspect
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from negmerge.errors import UserError, nearest, unknown
from negmerge.settings.recipe import Settings

T = TypeVar("T")

Value = bool | int | float | str
Seed = Annotated[int, Field(ge=0, lt=2**32)]

NUMBER = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"  # of YAML 1.2
SHOWN = 80  # characters of a wrong value that an error shows


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
        finding = explain(error, model).removeprefix("the file: ")
        raise UserError(f"{where}: {finding}") from error


def validate(path: str | Path, content: Any, model: type[T] | Any) -> T:
    """Make what a file holds an instance of `model`."""
    try:
        return TypeAdapter(model).validate_python(content)
    except ValidationError as error:
        # A key may hold a line break, an error is one line.
        finding = explain(error, model).replace("\n", "\\n")
        raise UserError(f"{path}: {finding}") from error


def require(where: str, what: str, names, valid) -> None:
    """Check that names are known."""
    for name in names:
        if name not in valid:
            raise ValueError(f"{where}: {unknown(what, name, valid)}")


def explain(error: ValidationError, model: Any) -> str:
    """Put the first finding of a validation error, and how many more there are, in one line."""
    findings: dict[tuple, list[Mapping]] = {}
    for finding in error.errors():
        findings.setdefault(_follow(model, finding["loc"])[0], []).append(finding)
    # A mistyped key is also missing under its right name: the unknown one says more.
    first = place = min(findings, key=lambda p: findings[p][0]["type"] != "extra_forbidden")
    if len(_follow(model, findings[first][0]["loc"])[1]) > 1:
        # The value may be one thing or another, and each has its findings. The deepest is about the
        # one that was meant: a wrong number in a mapping, not that a mapping is not a number.
        place = max((p for p in findings if p[: len(first)] == first), key=len)
    text = _explain(place, findings[place], model)
    more = len(findings) - len({first, place})
    return f"{text} (and {more} more)" if more else text


def _explain(place: tuple, findings: Sequence[Mapping], model: Any) -> str:
    """Describe what is wrong at one place; several findings there are alternatives."""
    where = ".".join(map(str, place)) or "the file"
    finding = findings[0]
    *parents, key = place or ("",)
    inside = f" in {'.'.join(map(str, parents))}" if parents else ""
    if finding["type"] == "extra_forbidden":
        return f"unknown key {key!r}{inside}; {nearest(key, _fields(model, finding['loc'][:-1]))}"
    if finding["type"] == "invalid_key":
        return f"the key {finding['input']!r}{inside} is not text; put it in quotes"
    if finding["type"] == "missing":
        return f"the key {where} is missing"
    if finding["type"] == "union_tag_not_found":
        return f"the key {where}.{_tag_name(finding)} is missing"
    if finding["type"] == "union_tag_invalid":
        valid = [tag.strip("'") for tag in finding["ctx"]["expected_tags"].split(", ")]
        return f"{where}: {unknown(_tag_name(finding), finding['ctx']['tag'], valid)}"
    if finding["type"] == "value_error":
        return f"{where}: {finding['msg'].removeprefix('Value error, ')}"
    value = repr(finding["input"])
    value = value if len(value) <= SHOWN else f"{value[: SHOWN - 3]}..."
    messages = dict.fromkeys(_message(finding) for finding in findings)
    return f"{where} is {value}: {' or '.join(messages)}{_number_hint(finding)}"


def _tag_name(finding: Mapping) -> str:
    """Return the key that distinguishes the members of a union."""
    return finding["ctx"]["discriminator"].strip("'")


def _message(finding: Mapping) -> str:
    message = finding["msg"].partition(" or instance of ")[0].partition(" or object to ")[0]
    return message[0].lower() + message[1:]


def _number_hint(finding: Mapping) -> str:
    """Describe why "64" is not a number."""
    text = finding["input"]
    is_number = isinstance(text, str) and re.fullmatch(NUMBER, text)
    if finding["type"] in ("float_type", "int_type") and is_number:
        return f" (a text, because of its quotes; write {text})"
    return ""


def _fields(model: Any, location: Sequence) -> list[str]:
    """Return the valid keys at a place inside a model."""
    kinds = _follow(model, location)[1]
    return [field for kind in kinds for field in getattr(kind, "model_fields", ())]


def _follow(model: Any, location: Sequence) -> tuple[tuple, list[Any]]:
    """Follow a location of pydantic's through types."""
    place, kinds, in_union = [], [model], False
    for step in location:
        if step == "[key]":  # a wrong key of a mapping, which is the step before
            break
        in_union = len(kinds) > 1 and not in_union
        if in_union:
            kinds = [kind for kind in kinds if _is_tagged(kind, step)] or kinds
        else:
            place.append(step)
            kinds = [inner for kind in kinds for inner in _inside(kind, step)]
    return tuple(place), kinds


def _inside(kind: Any, step: Any) -> list[Any]:
    """List the types that a value inside a model, mapping or list may have."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if step in kind.model_fields:
            return _members(kind.model_fields[step].annotation)
        # Where other keys are allowed, this says what their values may be.
        kind = inspect.get_annotations(kind).get("__pydantic_extra__")
    return _members(get_args(kind)[-1]) if get_args(kind) else []


def _is_tagged(kind: Any, tag: Any) -> bool:
    """Whether a model is the member of a union that a key with that value names."""
    fields = getattr(kind, "model_fields", {}).values()
    return any(tag in get_args(field.annotation) for field in fields)


def _members(kind: Any) -> list[Any]:
    """List the members of a union but for None, which pydantic does not name; or the type."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) not in (Union, types.UnionType):
        return [kind]
    members = [member for member in get_args(kind) if member is not type(None)]
    return [inner for member in members for inner in _members(member)]
