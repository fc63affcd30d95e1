"""Reading YAML files into typed models, with errors that a person can act on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from negmerge.errors import UserError, nearest

T = TypeVar("T")


class _UniqueKeys(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys; here it is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.value != "<<"]
        for key, (key_node, _) in zip(keys, node.value, strict=False):
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark
                )
        return super().construct_mapping(node, deep)


def read_yaml(path: str | Path, model: type[T] | Any) -> T:
    """Read a YAML file as an instance of `model`, a type that pydantic understands.

    Raises:
        UserError: no such file, not YAML, an unknown key, a wrong type or a value out of range;
            in one line that names the file and the key.
    """
    path = Path(path)
    try:
        content = yaml.load(path.read_text(), _UniqueKeys)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise UserError(f"{path}: line {mark.line + 1}: not valid YAML: {error.problem}") from error
    try:
        return TypeAdapter(model).validate_python(content)
    except ValidationError as error:
        raise UserError(f"{path}: {explain(error, model)}") from error


def explain(error: ValidationError, model: Any) -> str:
    """Put the first finding of a validation error, and how many more there are, in one line."""
    findings = error.errors()
    text = _explain(findings[0], model)
    return text if len(findings) == 1 else f"{text} (and {len(findings) - 1} more)"


def _explain(finding: Mapping, model: Any) -> str:
    *parents, key = finding["loc"] or ("the file",)
    where = ".".join(map(str, finding["loc"])) or "the file"
    if finding["type"] == "extra_forbidden":
        place = f" in {'.'.join(map(str, parents))}" if parents else ""
        return f"unknown key {key!r}{place}; {nearest(key, _fields(model, parents))}"
    if finding["type"] == "missing":
        return f"the key {where} is missing"
    if finding["type"] == "value_error":
        return f"{where}: {finding['msg'].removeprefix('Value error, ')}"
    message = finding["msg"][0].lower() + finding["msg"][1:]
    return f"{where} is {finding['input']!r}: {message}{_number_hint(finding)}"


def _number_hint(finding: Mapping) -> str:
    """Say why 1e-3 is no number: YAML 1.1 asks for a point in it."""
    if finding["type"] not in ("float_type", "int_type") or not isinstance(finding["input"], str):
        return ""
    try:
        return f" (YAML reads this as text; write {float(finding['input']):.10e})".replace(
            "0" * 10, "0"
        )
    except ValueError:
        return ""


def _fields(model: Any, location: list) -> list[str]:
    """Give the valid keys at a place inside a model."""
    for step in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[step].annotation
        else:
            # The value type of a mapping, or the model among the members of a union.
            model = get_args(model)[-1]
        members = [m for m in get_args(model) if isinstance(m, type) and issubclass(m, BaseModel)]
        if members and not issubclass(getattr(model, "__origin__", object), Mapping):
            model = members[0]
    return list(getattr(model, "model_fields", {}))
