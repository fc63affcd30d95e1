"""The tables and figures of a study, as its file describes them."""

from collections.abc import Container
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from negmerge.settings import methods
from negmerge.settings.recipe import Settings

# The kinds of methods in tables that do not show scores, or not scores alone.
KINDS_SHOWN = {
    "sparsity": ("merge", "greedy"),
    "mask": ("merge", "greedy", "single"),
    "cost": ("merge", "greedy", "unlearn", "retrain"),
    "sweep": ("merge", "greedy"),
}


def labelled(names: list[str] | dict[str, str]) -> dict[str, str]:
    """Give names of methods their titles as labels, where they have none."""
    return names if isinstance(names, dict) else {name: methods.title(name) for name in names}


Labelled = Annotated[list[str] | dict[str, str], AfterValidator(labelled)]


class Published(Settings):
    """Where the paper's cells for a column stand."""

    table: str = Field(description="A file in config/published/, without .csv.")
    where: dict[str, str] = Field({}, description="The rows of the file: column -> value.")
    row: str = Field("method", description="The column with the names of the table's rows.")
    comparable: bool = Field(
        True, description="Print the difference; false where model or data are not the paper's."
    )


class Column(Settings):
    """A group of columns of a table: means over experiments and tasks."""

    label: str = Field(description="The heading.")
    experiments: list[str] = Field(min_length=1, description="Experiments to average over.")
    tasks: list[str] = Field([], description="Tasks to average over; none given: all.")
    rule: str | None = Field(
        None,
        description="Show what this rule of `selection.other_rules` chose; null: the main rule.",
    )
    published: Published | None = Field(None, description="The paper's cells beside ours.")

    def method(self, row: str, known: Container[str]) -> str:
        """Give the method that a row shows here: what the column's rule chose, if there is it."""
        chosen = f"{row}.{self.rule}"
        return chosen if self.rule and chosen in known else row


class Table(Settings):
    """A table: methods as rows."""

    kind: Literal["accuracy", "gap", "sparsity", "mask", "cost", "sweep"] = Field(
        description="accuracy: forget and control accuracy (zero-shot); gap: distance to Retrain "
        "(classifier); sparsity: zeros of merged vectors; mask: scores of merges beside how many "
        "numbers they keep, and how many of them shrink the base; cost: time and memory of merging "
        "or training; sweep: forget and control accuracy at each coefficient (zero-shot)."
    )
    title: str = Field(description="The caption.")
    rows: Annotated[Labelled, Field(min_length=1)] = Field(
        description="Methods, with the paper's names."
    )
    columns: list[Column] = Field(min_length=1, description="Groups of columns.")

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The scenarios whose experiments the table can show."""
        of_kind = dict.fromkeys(("accuracy", "sweep"), ("zero-shot",)) | {"gap": ("classifier",)}
        return of_kind.get(self.kind, ("zero-shot", "classifier"))

    @model_validator(mode="after")
    def _fitting_rows(self):
        if self.kind == "gap" and methods.RETRAIN not in self.rows:
            raise ValueError(f"rows: a table of kind gap needs the row {methods.RETRAIN}")
        shown = KINDS_SHOWN.get(self.kind)
        is_chosen = self.kind == "mask"
        if shown and not is_chosen and any(column.rule is not None for column in self.columns):
            raise ValueError(f"columns: no rule chooses what a table of kind {self.kind} shows")
        for row in self.rows if shown else ():
            if methods.kind(row) not in shown:
                raise ValueError(
                    f"rows: {row!r} is of kind {methods.kind(row)}, and a table of kind "
                    f"{self.kind} shows {', '.join(shown)}"
                )
        return self

    @property
    def published(self) -> list[str]:
        """The files of published cells that the columns name."""
        return sorted({column.published.table for column in self.columns if column.published})


class Figure(Settings):
    """A figure."""

    kind: Literal["tradeoff", "spread", "models", "gap", "gradcam", "signs"] = Field(
        description="tradeoff: forget against control accuracy of vectors and their sweeps; "
        "spread: forget accuracy of single models over the pool; models: forget accuracy against "
        "the number of merged models; gap: the parts of the gap to Retrain (classifier); gradcam: "
        "where on images to forget the score of their class rests; signs: what merges make of "
        "single coordinates of the pool's vectors."
    )
    title: str = Field(description="The caption.")
    experiments: list[str] = Field(min_length=1, description="Experiments to draw.")
    tasks: list[str] = Field([], description="Tasks to draw; none given: all.")
    methods: Labelled = Field({}, description="Methods to draw, with their labels.")

    @property
    def scenarios(self) -> tuple[str, ...]:
        """The scenarios whose experiments the figure can show."""
        of_kind = {"gap": ("classifier",)}
        of_kind |= dict.fromkeys(("gradcam", "signs"), ("zero-shot", "classifier"))
        return of_kind.get(self.kind, ("zero-shot",))

    @model_validator(mode="after")
    def _fitting_methods(self):
        if self.kind == "gap" and methods.RETRAIN not in self.methods:
            raise ValueError(f"methods: a figure of kind gap needs {methods.RETRAIN}")
        if self.kind in ("gradcam", "signs") and not self.methods:
            raise ValueError(f"methods: a figure of kind {self.kind} needs at least one")
        for method in self.methods if self.kind in ("models", "signs") else ():
            if methods.kind(method) not in ("merge", "greedy"):
                raise ValueError(
                    f"methods: {method!r} merges nothing, and a figure of kind {self.kind} shows "
                    "merges"
                )
        return self
