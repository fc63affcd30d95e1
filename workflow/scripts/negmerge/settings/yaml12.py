"""YAML 1.2, read so that a file can neither run code nor fill the memory."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml

from negmerge.errors import UserError
from negmerge.settings.validation import NUMBER, validate

T = TypeVar("T")

# Values of a file when aliases are written out. The largest file of the project has 4,000, and a
# few lines of aliases can stand for more values than a memory holds.
MOST_VALUES = 100_000
DEEPEST = 100  # levels of a file; libyaml, which reads it, ends the process at some thousands
MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.CSafeLoader):
    """libyaml with YAML 1.2's decimal numbers and truth values: `1e-4` is a number, `on` a text.

    ruamel.yaml has them all, but takes 0.3 s longer for the files that each start and job reads.
    """

    yaml_implicit_resolvers: ClassVar[dict] = {}


for tag, pattern in {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+",
    "float": rf"{NUMBER}|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "merge": "<<",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^({pattern})$"), None)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads, without anchors."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: object) -> bool:
        return True


def write_yaml(content: Any) -> str:
    """Write plain values as YAML 1.2, with each anchor written out."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def read_yaml(path: str | Path, model: type[T] | Any) -> T:
    """Read a YAML file as an instance of `model`, a type that pydantic understands."""
    return validate(path, load_yaml(path), model)


def load_yaml(path: str | Path) -> Any:
    """Read a file of YAML 1.2."""
    path = Path(path)
    try:
        content = _load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: "
        raise UserError(f"{path}: {where}not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if content is None:
        raise UserError(f"{path}: the file is empty")
    return content


def _load(text: str) -> Any:
    """Read YAML, unless it is nested too deeply or its aliases make it too large or endless."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise _refused("nested too deeply to be read", event)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _count_values(node, {})
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refused(why: str, found: yaml.Node | yaml.Event) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=why, problem_mark=found.start_mark)


def _count_values(node: yaml.Node, counted: dict[int, int]) -> int:
    """Count the values in a node with aliases written out."""
    if id(node) not in counted:
        counted[id(node)] = 0
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            _check_keys([key for key, _ in parts])
            parts = [part for pair in parts for part in pair]
        counted[id(node)] = 1 + sum(_count_values(part, counted) for part in parts)
    count = counted[id(node)]
    if not count:
        raise _refused("an alias refers to itself", node)
    if count > MOST_VALUES:
        raise _refused(f"more than {MOST_VALUES:,} values", node)
    return count


def _check_keys(keys: Sequence[yaml.Node]) -> None:
    """Check that no key of a mapping appears twice; what an anchor brings may be overridden."""
    seen = set()
    for key in keys:
        what = (key.tag, str(key.value))
        if what in seen and key.tag != MERGE:
            raise _refused(f"the key {key.value!r} appears twice", key)
        seen.add(what)
