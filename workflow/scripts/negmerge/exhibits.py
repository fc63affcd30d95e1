"""The tables and figures of a study, as its file describes them."""

from typing import Literal

from pydantic import Field

from negmerge.recipe import Settings


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
    published: Published | None = Field(None, description="The paper's cells beside ours.")


class Table(Settings):
    """A table: methods as rows."""

    kind: Literal["accuracy", "sparsity"] = Field(description="What the cells are.")
    title: str = Field(description="The caption.")
    rows: dict[str, str] = Field(min_length=1, description="Methods, with the paper's names.")
    columns: list[Column] = Field(min_length=1, description="Groups of columns.")

    @property
    def published(self) -> list[str]:
        """The files of published cells that the columns name."""
        return sorted({column.published.table for column in self.columns if column.published})


class Figure(Settings):
    """A figure."""

    kind: Literal["tradeoff", "spread"] = Field(
        description="tradeoff: forget against control accuracy of vectors and their sweeps; "
        "spread: forget accuracy of single models over the pool."
    )
    title: str = Field(description="The caption.")
    experiments: list[str] = Field(min_length=1, description="Experiments to draw.")
    methods: dict[str, str] = Field({}, description="Methods to draw, with their labels.")
