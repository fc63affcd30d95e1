"""The settings of a study, which may take over another one (`extends`) and give differences.

All of it is resolved when the file is read: what comes out is as if the study were written in full.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union

from pydantic import Field, PrivateAttr

from negmerge import plugins
from negmerge.errors import UserError, find, unknown
from negmerge.settings import methods
from negmerge.settings.catalogue import Catalogue, load_catalogue
from negmerge.settings.compute import Chosen
from negmerge.settings.load import Folders, find_file, in_order, load_yaml
from negmerge.settings.recipe import FileName, Settings
from negmerge.settings.tables import Figure, Table
from negmerge.settings.validation import validate

# Mappings in which null takes away a name, or an option, that was taken over. Elsewhere it is a
# value, such as that of `max_grad_norm` without clipping. `*` stands for any name.
NAMES = (
    ("experiments",),
    ("experiments", "*", "methods"),
    ("experiments", "*", "methods", "*"),
    ("experiments", "*", "methods", "*", "grid"),
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

    experiments: list[str] | None = Field(None, description="Experiments; null: all.")
    tables: list[str] | None = Field(None, description="Tables; null: all.")
    figures: list[str] | None = Field(None, description="Figures; null: all.")
    methods: list[str] | dict[str, list[str]] | None = Field(
        None,
        description="Methods of each experiment, or by experiment; null: all. The rows of the "
        "others drop out of tables and figures that are taken over, and so do those that have no "
        "row left.",
    )


class Extension(Settings):
    """What a study takes over from another one; the resolved study does not have these keys."""

    extends: FileName | None = Field(
        None,
        exclude=True,
        description="Another study; this one gives only the differences.",
    )
    take: Take = Field(Take(), exclude=True, description="What is taken over from it.")
    stand_ins: dict[str, str] = Field(
        {},
        exclude=True,
        description="In tables and figures that are taken over: an experiment or task of the other "
        "study -> the one that is shown in its place.",
    )
    comparable: bool = Field(
        True,
        exclude=True,
        description="Print differences to the paper's cells; false: nowhere in the study.",
    )


T = TypeVar("T", bound=Extension)


def path_of_study(config: Folders, name: str) -> Path:
    """Return the path of a study's file; in the first folder where no folder has it."""
    return find_file(config, f"studies/{name}.yaml")


def read_study(config: Folders, name: str, model: type[T]) -> tuple[dict[str, Any], T]:
    """Read a study's file, and complete it with those that it extends."""
    content, study = _complete(config, name, model, ())
    if not study.comparable:
        content["tables"] = _each_shown(content.get("tables"), _without_difference)
        study = validate(path_of_study(config, name), content, model)
    return content, study


def _complete(config: Folders, name: str, model: type[T], users: tuple[str, ...]) -> tuple[dict, T]:
    """Return a study with what it takes over; `users` are those on the way that extend it."""
    path = path_of_study(config, name)
    if not path.is_file():
        known = {file.stem for one in in_order(config) for file in one.glob("studies/*.yaml")}
        raise UserError(f"{path}: {unknown('study', name, known)}")
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
    elif keys.keys() & {"take", "stand_ins"}:
        raise UserError(f"{path}: `take` and `stand_ins` go with `extends`, and only with it")
    return content, validate(path, content, model)


def _taken(other: Mapping[str, Any], own: Extension) -> dict[str, Any]:
    """Return what another study takes over of a study."""
    study = {key: value for key, value in other.items() if key not in ("take", "stand_ins")}
    for section in ("experiments", "tables", "figures"):
        names, rows = getattr(own.take, section), study.get(section) or {}
        if names is not None:
            rows = {name: find(f"name in take.{section}", name, rows) for name in names}
        study[section] = rows
    replaced: set[str] = set()

    def stand_in(shown: Mapping) -> dict:
        lists = {key: shown[key] for key in ("experiments", "tasks") if key in shown}
        replaced.update(*lists.values())
        return {**shown} | {
            key: list(dict.fromkeys(own.stand_ins.get(name, name) for name in names))
            for key, names in lists.items()
        }

    for section in ("tables", "figures"):
        study[section] = _each_shown(study[section], stand_in)
    for name in own.stand_ins:
        find("name in stand_ins", name, dict.fromkeys(replaced))
    if own.take.methods is not None:
        _take_methods(study, own.take)
    return study


def _take_methods(study: dict[str, dict], take: Take) -> None:
    """Leave methods that are not taken out of experiments, and out of what shows these."""
    experiments = study["experiments"]
    of_all = {name: use for one in experiments.values() for name, use in one["methods"].items()}
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
        name: {**one, "columns": [change(column) for column in one["columns"]]}
        if "columns" in one
        else change(one)
        for name, one in (exhibits or {}).items()
    }


def _without_difference(column: Mapping) -> dict:
    """Return a column that does not print differences to the paper's cells."""
    published = column.get("published")
    return {**column} | ({"published": {**published, "comparable": False}} if published else {})


def _merge(taken: Mapping, change: Mapping, place: tuple[str, ...]) -> dict:
    """Return nested settings with some of them changed; lists and values replace."""
    named = any(_fits(place, names) for names in NAMES)
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


def _fits(place: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a place is one of those that a pattern stands for."""
    pairs = zip(place, names, strict=False)
    return len(place) == len(names) and all(name in ("*", key) for key, name in pairs)


# Folders of a study's results, beside those of its experiments.
RESERVED = ("benchmarks", "figures", "logs", "provenance", "tables")

# What a study may say of each scenario.
SCENARIOS = tuple(
    plugins.load(plugins.SCENARIO_SETTINGS, name).EXPERIMENT
    for name in plugins.names(plugins.SCENARIO_SETTINGS)
)
Experiment = Annotated[Union[SCENARIOS], Field(discriminator="scenario")]  # noqa: UP007


class Study(Extension):
    """A study file: experiments, and the tables and figures made from them."""

    title: str = Field(description="What the study is about, in one line.")
    seed: int = Field(0, ge=0, description="All random numbers of the study derive from it.")
    device: Literal["cpu", "cuda"] = Field(
        "cpu",
        description="The device that the study was designed for; `device` in config.yaml, or "
        "`--config device=cuda`, overrides it.",
    )
    compute: Chosen = Field(
        "exact",
        validate_default=True,
        description="How exactly and how fast: a preset, or keys that differ from one.",
    )
    experiments: dict[FileName, Experiment] = Field(min_length=1, description="By name.")
    tables: dict[FileName, Table] = Field({}, description="By file name.")
    figures: dict[FileName, Figure] = Field({}, description="By file name.")

    _catalogue: Catalogue = PrivateAttr()

    @property
    def catalogue(self) -> Catalogue:
        """The data sets, models and prompts that the study may name."""
        return self._catalogue

    @property
    def datasets(self) -> list[str]:
        """The data sets that the study needs, sorted."""
        return sorted({name for one in self.experiments.values() for name in one.datasets})

    def datasets_of(self, table: Table) -> list[str]:
        """The data sets of the tasks that a table shows, sorted."""
        found = set()
        for column in table.columns:
            for one in map(self.experiments.__getitem__, column.experiments):
                for task in column.tasks or one.task_names:
                    used = one.inputs(task, one.SCENARIO.roles).values()
                    found |= {name for kind, name in used if kind != "place"}
        return sorted(found)

    def seed_of(self, experiment: str, level: str = "") -> int:
        """The seed from which an experiment's jobs derive theirs, by level of randomness."""
        chosen = self.experiments[experiment]
        seeds = (chosen.seed_for(level), chosen.seed, self.seed)
        return next(seed for seed in seeds if seed is not None)


def load_study(config: Folders, name: str, *, options: bool = True) -> Study:
    """Read and check a study."""
    _, study = read_study(config, name, Study)
    study._catalogue = load_catalogue(config)
    try:
        if options:
            _check_options(study)
        _check_references(study)
        for place, experiment in study.experiments.items() if options else ():
            experiment.check_sizes(f"experiments.{place}", study.catalogue)
    except (ValueError, UserError) as error:
        raise UserError(f"{path_of_study(config, name)}: {error}") from error
    return study


def _check_options(study: Study) -> None:
    """Check the options of all methods."""
    for name, experiment in study.experiments.items():
        for method, use in experiment.methods.items():
            place = f"experiments.{name}: methods.{method}"
            methods.check_options(place, method, use, experiment.scenario)


def _check_references(study: Study) -> None:
    """Check every name in a study that stands for something elsewhere."""
    for name, experiment in study.experiments.items():
        where = f"experiments.{name}"
        if name in RESERVED:
            raise ValueError(f"{where}: the study has a folder of this name")
        experiment.check(where, study.catalogue)
    for name, table in study.tables.items():
        table.check(f"tables.{name}", study.experiments)
    for name, figure in study.figures.items():
        figure.check(f"figures.{name}", study.experiments)
