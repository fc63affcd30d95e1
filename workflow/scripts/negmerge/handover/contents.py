"""What belongs into an archive of a study: by the records of how its files were made."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from negmerge import paths
from negmerge.errors import UserError
from negmerge.handover.layout import CONFIG, DATA, RESULTS, WORKFLOW
from negmerge.jobs.provenance import FOLDER as RECORDS
from negmerge.jobs.provenance import Record, place_of_record
from negmerge.jobs.verification import Chain
from negmerge.settings.load import load_yaml
from negmerge.settings.study import Study

WEIGHTS = ".safetensors"
ROWS = ("datasets.yaml", "models.yaml", "prompts.yaml")


@dataclass(frozen=True)
class Item:
    """A file to pack.

    Attributes:
        place: its place in the archive.
        path: where it is, or was.
        made: its record; None for what no job has made.
        is_packed: whether it goes into the archive, or only its checksum.
    """

    place: str
    path: Path
    made: Record | None = None
    is_packed: bool = True


@dataclass
class Contents:
    """What belongs to a study.

    Args:
        study: the study.
        name: its name.
        data: the folder of data, as the configuration names it.
        weights: whether to pack the weights.
        images: whether to pack the images.

    Raises:
        UserError: the study has no records, or one that cannot be read; a file is missing.
    """

    study: Study
    name: str
    data: str
    weights: bool = False
    images: bool = False
    _shown: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self._folder = Path(RESULTS, self.name)
        self._shown = {str(self._folder / place) for place in shown_files(self.study)}

    def items(self) -> Iterator[Item]:
        """Yield all files: made ones, their records and times, and what the study says."""
        records = sorted((self._folder / RECORDS).rglob("*.json"))
        if not records:
            raise UserError(
                f"{self._folder}: no records of how files were made, so nothing to pack"
            )
        found = Chain(self._folder, records).ordered(records)
        for record in found:
            yield self._item(record)
        yield from self._plain(self._place_of_record(record) for record in found)
        yield from self._plain(sorted((self._folder / "benchmarks").rglob("*.tsv")))
        times = [
            Path(self.data, "benchmarks", "prepare", f"{one}.tsv") for one in self.study.datasets
        ]
        yield from self._plain(path for path in times if path.is_file())
        yield from (Item(str(path), path) for path in self._settings())
        # The second is where the workflow stands that imports this one.
        workflows = (Path(WORKFLOW), Path("workflow", WORKFLOW))
        yield Item(WORKFLOW, next(path for path in workflows if path.is_file()))

    def place_of(self, name: str) -> str:
        """Return the place in an archive of a file by its name in records."""
        path = Path(name)
        below = path.is_relative_to(self.data)
        return str(Path(DATA, path.relative_to(self.data))) if below else name

    def _item(self, record: Record) -> Item:
        """Decide on a file that a job has made."""
        path, ours = Path(record.name), self._is_ours(record)
        asked = self.weights if ours else self.images and path.name == f"images{WEIGHTS}"
        is_light = ours and (path.suffix != WEIGHTS or record.name in self._shown)
        is_packed = is_light or (asked and not (record.intermediate and not path.exists()))
        if is_packed and not path.is_file():
            raise UserError(f"{path}: missing, though it was made; `negmerge verify` says more")
        return Item(self.place_of(record.name), path, record, is_packed)

    def _place_of_record(self, record: Record) -> Path:
        folder = self._folder if self._is_ours(record) else Path(self.data)
        return place_of_record(folder, Path(record.name))

    def _is_ours(self, record: Record) -> bool:
        """Whether it is of the study's results, and not of the data."""
        return record.name.startswith(f"{self._folder}/")

    def _plain(self, paths: Iterable[Path]) -> Iterator[Item]:
        """Pack files under the names that they have here."""
        return (Item(self.place_of(str(path)), path) for path in paths)

    def _settings(self) -> Iterator[Path]:
        """Yield the files that the study is read from, as far as they are in `config/`."""
        name: str | None = self.name
        while name and (path := Path(CONFIG, "studies", f"{name}.yaml")).is_file():
            yield path
            name = load_yaml(path).get("extends")
        tables = self.study.tables.values()
        cells = {cell for table in tables for cell in table.published}
        published = [f"published/{cell}.csv" for cell in sorted(cells)]
        paths = (Path(CONFIG, file) for file in (*ROWS, *published))
        yield from (path for path in paths if path.is_file())


def shown_files(study: Study) -> Iterator[str]:
    """Yield the paths below a study's results that its tables and figures read."""
    for name, table in study.tables.items():
        for files in paths.table_records(study, table).values():
            yield from (file.format(table=name) for file in files)
    for name, figure in study.figures.items():
        for files in paths.figure_records(study, figure).values():
            yield from (file.format(figure=name) for file in files)
