"""Files of YAML 1.2 as typed models, with errors that a person can act on."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml

from negmerge.errors import UserError
from negmerge.settings.validation import NUMBER, validate

T = TypeVar("T")
Folders = str | Path | Sequence[str | Path]


def in_order(config: Folders) -> list[Path]:
    """Return configuration folders, each once, without those that are not there."""
    folders = [Path(config)] if isinstance(config, str | Path) else [Path(one) for one in config]
    found = {folder.resolve(): folder for folder in reversed(folders) if folder.is_dir()}
    return list(reversed(found.values())) or folders[:1]


def find_file(config: Folders, place: str) -> Path:
    """Return the first file of a name in configuration folders."""
    paths = [folder / place for folder in in_order(config)]
    return next((path for path in paths if path.is_file()), paths[0])


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
    """Read YAML in which no mapping has a key twice."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_keys(node, set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _check_keys(node: yaml.Node, checked: set[int]) -> None:
    """Check that no key of a mapping appears twice; what an anchor brings may be overridden."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in checked:
        return
    checked.add(id(node))
    parts = node.value
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, _ in node.value:
            what = (key.tag, str(key.value))
            if what in seen and key.tag != MERGE:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} appears twice", problem_mark=key.start_mark
                )
            seen.add(what)
        parts = [part for pair in node.value for part in pair]
    for part in parts:
        _check_keys(part, checked)
