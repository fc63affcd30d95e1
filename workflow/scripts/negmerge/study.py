"""Studies: typed, validated views of the files in `config/studies/`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr

from negmerge.catalogue import Catalogue, load_catalogue
from negmerge.errors import UserError, unknown
from negmerge.exhibits import Figure, Table
from negmerge.experiment import SINGLE_METHODS, Experiment
from negmerge.recipe import FileName, Settings
from negmerge.yaml_files import read_yaml

# Folders of a study's results, beside those of its experiments.
RESERVED = ("benchmarks", "figures", "logs", "tables")


class Study(Settings):
    """A study file: experiments, and the tables and figures made from them."""

    title: str = Field(description="What the study is about, in one line.")
    seed: int = Field(0, ge=0, description="All random numbers of the study derive from it.")
    device: Literal["cpu", "cuda"] = Field("cpu", description="Where models are computed.")
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
        found = set()
        for experiment in self.experiments.values():
            found |= {experiment.control, *experiment.tasks}
            found |= set(experiment.pretrain.sources if experiment.pretrain else ())
        return sorted(found)

    def seed_of(self, experiment: str) -> int:
        """The seed from which the jobs of an experiment derive theirs."""
        own = self.experiments[experiment].seed
        return self.seed if own is None else own


def load_study(folder: str | Path, name: str) -> Study:
    """Read and check a study.

    Args:
        folder: the configuration folder.
        name: the study's name: that of its file, without `.yaml`.

    Raises:
        UserError: no such study, or what is wrong in it or in the rows it refers to; in one line.
    """
    folder = Path(folder)
    path = folder / "studies" / f"{name}.yaml"
    if not path.is_file():
        known = [file.stem for file in (folder / "studies").glob("*.yaml")]
        raise UserError(f"{path}: {unknown('study', name, known)}")
    study = read_yaml(path, Study)
    study._catalogue = load_catalogue(folder)
    try:
        _check_references(study)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return study


def _check_references(study: Study) -> None:
    """Check every name in a study that stands for something elsewhere."""
    known = study.catalogue
    for name, experiment in study.experiments.items():
        where = f"experiments.{name}"
        if name in RESERVED:
            raise ValueError(f"{where}: this is the name of a folder of the study's")
        _require(f"{where}.model", "model", [experiment.model], known.models)
        sources = experiment.pretrain.sources if experiment.pretrain else []
        epochs = experiment.finetune.epochs
        per_task = epochs if isinstance(epochs, Mapping) else []
        datasets = [experiment.control, *experiment.tasks, *sources, *per_task]
        _require(where, "data set", datasets, known.datasets)
        for source, settings in experiment.pretrain.sources.items() if experiment.pretrain else ():
            _require(
                f"{where}.pretrain.sources.{source}.part",
                "split",
                [settings.part],
                known.datasets[source].splits,
            )
        if (known.models[experiment.model].weights == "pretrain") != bool(experiment.pretrain):
            raise ValueError(
                f"{where}: `pretrain` goes with a model of `weights: pretrain`, and only with it"
            )
    for name, table in study.tables.items():
        for column in table.columns:
            where = f"tables.{name}.columns.{column.label}"
            _check_shown(study, where, column.experiments, table.rows)
            for experiment in column.experiments:
                _require(where, "task", column.tasks, study.experiments[experiment].tasks)
        merges = {row: label for row, label in table.rows.items() if row not in SINGLE_METHODS}
        if table.kind == "sparsity" and len(merges) < len(table.rows):
            raise ValueError(f"tables.{name}.rows: only merged vectors have a sparsity")
    for name, figure in study.figures.items():
        _check_shown(study, f"figures.{name}", figure.experiments, figure.methods)


def _check_shown(study: Study, where: str, experiments: list[str], methods: Mapping) -> None:
    """Check that experiments exist and have the methods that a table or figure shows."""
    _require(where, "experiment", experiments, study.experiments)
    for experiment in experiments:
        _require(where, "method", methods, study.experiments[experiment].methods)


def _require(where: str, what: str, names, valid) -> None:
    for name in names:
        if name not in valid:
            raise ValueError(f"{where}: {unknown(what, name, valid)}")
