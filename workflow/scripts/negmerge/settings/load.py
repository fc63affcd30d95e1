"""Files of YAML 1.2 as typed models, and studies with what they take over from others."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import yaml
from pydantic import Field

from negmerge.errors import UserError, find, unknown
from negmerge.settings.checks import NUMBER, validate
from negmerge.settings.recipe import FileName, Settings, advanced

T = TypeVar("T")
Folders = str | Path | Sequence[str | Path]


def in_order(config: Folders) -> list[Path]:
    """Return configuration folders, each once, without those that are not there."""
    folders = [Path(config)] if isinstance(config, str | Path) else [*map(Path, config)]
    existing = {folder.resolve(): folder for folder in reversed(folders) if folder.is_dir()}
    return list(reversed(existing.values())) or folders[:1]


def find_file(config: Folders, place: str) -> Path:
    """Return the first file of a name in configuration folders."""
    paths = [folder / place for folder in in_order(config)]
    return next((path for path in paths if path.is_file()), paths[0])


MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.CSafeLoader):
    """libyaml with YAML 1.2's decimal numbers and truth values; ruamel.yaml takes 0.3 s more."""

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


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    """Make a mapping in which no key appears twice; what an anchor brings may be overridden."""
    keys = set()
    for key, _ in node.value:
        if (key.tag, str(key.value)) in keys and key.tag != MERGE:
            raise yaml.MarkedYAMLError(
                problem=f"the key {key.value!r} appears twice", problem_mark=key.start_mark
            )
        keys.add((key.tag, str(key.value)))
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


class _Dumper(yaml.SafeDumper):
    """Writes what `_Loader` reads, without anchors."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: object) -> bool:
        return True


def write_yaml(content: Any) -> str:
    """Write plain values as YAML 1.2, without anchors."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def read_yaml(path: str | Path, model: type[T] | Any) -> T:
    """Read a YAML file as an instance of `model`, a type that pydantic understands."""
    return validate(path, load_yaml(path), model)


def load_yaml(path: str | Path) -> Any:
    """Read a file of YAML 1.2."""
    path = Path(path)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506
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


# Mappings in which null takes away a name, or an option, that was taken over. Elsewhere it is a
# value, such as that of `max_grad_norm` without clipping. `*` stands for any name.
NAMES = (
    ("experiments",),
    ("experiments", "*", "methods"),
    ("experiments", "*", "methods", "*"),
    ("experiments", "*", "methods", "*", "grid"),
    ("experiments", "*", "coefficients"),
    ("experiments", "*", "selection", "other_choices"),
    ("experiments", "*", "pool"),
    ("experiments", "*", "pool", "grid"),
    ("experiments", "*", "pool", "points"),
    ("tables",),
    ("tables", "*", "rows"),
    ("figures",),
    ("figures", "*", "methods"),
)


class Take(Settings):
    """Which names of the other study are taken over."""

    experiments: list[str] | None = Field(
        None, description="The experiments to take over; null: all."
    )
    tables: list[str] | None = Field(None, description="The tables to take over; null: all.")
    figures: list[str] | None = Field(None, description="The figures to take over; null: all.")
    methods: list[str] | dict[str, list[str]] | None = Field(
        None,
        description="The methods to take over of each experiment, or by experiment; null: all. "
        "Tables and figures that are taken over lose the rows of other methods, and "
        "drop out if no row is left.",
    )


class Extension(Settings):
    """What a study takes over from another one; the resolved study does not have these keys."""

    extends: FileName | None = Field(
        None,
        exclude=True,
        description="Another study; this one gives only the differences.",
    )
    take: Take = Field(Take(), exclude=True, description="What is taken over from it.")
    replace: dict[str, str] = advanced(
        {},
        exclude=True,
        description="In tables and figures that are taken over: an experiment or task of the other "
        "study -> the one that is shown in its place.",
    )
    comparable: bool = advanced(
        True,
        exclude=True,
        description="Print differences to the paper's cells; false: nowhere in the study.",
    )


E = TypeVar("E", bound=Extension)


def read_study(config: Folders, name: str, model: type[E]) -> tuple[dict[str, Any], E]:
    """Read a study's file, and complete it with those that it extends."""
    content, study = _complete(config, name, model, ())
    if not study.comparable:
        content["tables"] = _each_shown(content.get("tables"), _without_difference)
        study = validate(find_file(config, f"studies/{name}.yaml"), content, model)
    return content, study


def _complete(config: Folders, name: str, model: type[E], users: tuple[str, ...]) -> tuple[dict, E]:
    """Return a study with what it takes over; `users` are those on the way that extend it."""
    path = find_file(config, f"studies/{name}.yaml")
    if not path.is_file():
        names = {file.stem for folder in in_order(config) for file in folder.glob("studies/*.yaml")}
        raise UserError(f"{path}: {unknown('study', name, names)}")
    content = validate(path, load_yaml(path), dict)
    keys = {key: content[key] for key in Extension.model_fields if key in content}
    own = validate(path, keys, Extension)
    if own.extends in (*users, name):
        circle = " -> ".join((*users, name, own.extends))
        raise UserError(f"{path}: extends: {circle} is a circle")
    if own.extends is not None:
        other, _ = _complete(config, own.extends, model, (*users, name))
        try:
            content = _merge(_taken(other, own), content, ())
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    elif keys.keys() & {"take", "replace"}:
        raise UserError(f"{path}: `take` and `replace` go with `extends`, and only with it")
    return content, validate(path, content, model)


def _taken(other: Mapping[str, Any], own: Extension) -> dict[str, Any]:
    study = {key: value for key, value in other.items() if key not in ("take", "replace")}
    for section in ("experiments", "tables", "figures"):
        names, rows = getattr(own.take, section), study.get(section) or {}
        if names is not None:
            rows = {name: find(f"name in take.{section}", name, rows) for name in names}
        study[section] = rows
    replaced: set[str] = set()

    def put_in_place(shown: Mapping) -> dict:
        lists = {key: shown[key] for key in ("experiments", "tasks") if key in shown}
        replaced.update(*lists.values())
        return {**shown} | {
            key: list(dict.fromkeys(own.replace.get(name, name) for name in names))
            for key, names in lists.items()
        }

    for section in ("tables", "figures"):
        study[section] = _each_shown(study[section], put_in_place)
    for name in own.replace:
        find("name in replace", name, dict.fromkeys(replaced))
    if own.take.methods is not None:
        _take_methods(study, own.take)
    return study


def _take_methods(study: dict[str, dict], take: Take) -> None:
    """Leave methods that are not taken out of experiments, and out of what shows these."""
    experiments = study["experiments"]
    of_all = {name: use for row in experiments.values() for name, use in row["methods"].items()}
    if isinstance(take.methods, list):
        for name in take.methods:
            find("name in take.methods", name, of_all)
        taken = dict.fromkeys(experiments, take.methods)
    else:
        taken = take.methods
        for key, names in taken.items():
            uses = find("experiment in take.methods", key, experiments)["methods"]
            for name in names:
                find(f"name in take.methods.{key}", name, uses)
    left_out = {}
    for key, names in taken.items():
        uses = experiments[key]["methods"]
        left_out[key] = uses.keys() - names
        kept = {name: use for name, use in uses.items() if name in names}
        experiments[key] = {**experiments[key], "methods": kept}
    for section, rows in (("tables", "rows"), ("figures", "methods")):
        for name, exhibit in list(study[section].items()):
            parts = exhibit.get("columns", [exhibit])
            shown = {experiment for part in parts for experiment in part["experiments"]}
            gone = set().union(*(left_out.get(experiment, ()) for experiment in shown))
            kept = [method for method in exhibit[rows] if method not in gone]
            if isinstance(exhibit[rows], Mapping):
                kept = {method: exhibit[rows][method] for method in kept}
            if kept:
                study[section][name] = {**exhibit, rows: kept}
            elif getattr(take, section) is None:
                del study[section][name]
            else:
                raise UserError(f"take.{section}: {name} shows none of the methods in take.methods")


def _each_shown(exhibits: Mapping | None, change: Callable[[Mapping], Mapping]) -> dict:
    """Change what says which experiments tables and figures show: each column, or the figure."""
    return {
        name: {**shown, "columns": [change(column) for column in shown["columns"]]}
        if "columns" in shown
        else change(shown)
        for name, shown in (exhibits or {}).items()
    }


def _without_difference(column: Mapping) -> dict:
    """Return a column that does not print differences to the paper's cells."""
    published = column.get("published")
    return {**column} | ({"published": {**published, "comparable": False}} if published else {})


def _merge(taken: Mapping, change: Mapping, place: tuple[str, ...]) -> dict:
    """Return nested settings with some of them changed; lists and values replace."""
    named = any(
        len(place) == len(names)
        and all(name in ("*", key) for key, name in zip(place, names, strict=True))
        for names in NAMES
    )
    merged = {} if named and "*" in change else dict(taken)
    for key, value in change.items():
        inner = merged.get(key)
        if named and value is None:
            if key != "*":
                find(f"name under {'.'.join(place)}", key, taken)
                merged.pop(key, None)
        elif isinstance(value, Mapping):
            merged[key] = _merge(inner if isinstance(inner, Mapping) else {}, value, (*place, key))
        else:
            merged[key] = value
    return merged
