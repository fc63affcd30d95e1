"""How cells become tables for people: headings, texts and notes, as Markdown and as LaTeX."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd

from negmerge.reporting import notes
from negmerge.reporting.cells import NOT_KNOWN, is_second_hand
from negmerge.reporting.kinds import TableKind, table_kind
from negmerge.reporting.records import FOOTNOTES, MEAN, NOTHING_LEFT
from negmerge.scenarios.base import Metric


class Bold(str):
    """A text that is printed bold."""


@dataclass(frozen=True)
class Heading:
    group: str  # the column of the study's table that it belongs to
    text: str  # what it says
    unit: str = ""  # of its numbers; may be empty
    better: str = ""  # `lower`, `higher`, `reference` (close to `reference`), or nothing
    reference: str = ""  # that number, spelled
    # Whether its numbers come from the records of the row, not from the paper.
    is_measured: bool = False
    is_detail: bool = False  # whether few readers need it, so that a page may fold it away


@dataclass(frozen=True)
class Layout:
    """A table ready to be printed; `rows` hold a label and then a text per heading."""

    title: str
    headings: list[Heading]
    rows: list[list[str]]
    notes: list[str]

    def groups(self, brief: bool = False) -> list[tuple[str, int]]:
        """List the groups, with the number of headings in each; `brief` leaves details out."""
        names = [h.group for h in self.headings if not (brief and h.is_detail)]
        return [(name, names.count(name)) for name in dict.fromkeys(names)]

    @property
    def starts(self) -> set[int]:
        """The places of the headings that begin a group, also when details are folded away."""
        groups = [heading.group for heading in self.headings]
        brief = [None if heading.is_detail else heading.group for heading in self.headings]
        return {names.index(group) for names in (groups, brief) for group in names if group}


def layout(table: Mapping, cells: pd.DataFrame) -> Layout:
    kind, headings = table_kind(table["kind"]), []
    labels = cells["row"].dropna().drop_duplicates().to_list()
    rows = [[label] for label in labels]
    for column in table["columns"]:
        group = cells[(cells["column"] == column["label"]) & cells["row"].notna()]
        for heading, texts in _printed_columns(kind, column, group):
            headings.append(heading)
            for row in rows:
                row.append(texts.get(row[0], NOT_KNOWN))
    return Layout(table["title"], headings, rows, notes.notes(table, cells))


def _printed_columns(
    kind: TableKind, column: Mapping, group: pd.DataFrame
) -> Iterator[tuple[Heading, dict[str, str]]]:
    """Yield the printed columns of one column of the study, each with its texts by row label."""
    label, published = column["label"], column["published"]
    is_mean = group["experiment"] == MEAN
    means, single = group[is_mean], group[~is_mean]
    metrics = kind.metrics_of(kind.scenario(column), set(means["metric"]))
    first = means[means["metric"] == metrics[0].name].to_dict("records")
    if kind.shows_data:
        data = {c["row"]: "-" if pd.isna(c["data_used"]) else c["data_used"] for c in first}
        yield Heading(label, "data used", is_detail=True), data
    for metric in metrics:
        shown = means[means["metric"] == metric.name]
        is_missing = metric.optional and shown["value"].isna().all()
        if not metric.printed or is_missing:
            continue
        shown, unit = shown.to_dict("records"), metric.unit
        reference = _spell(shown[0]["reference"], metric)
        heading = Heading(
            label, metric.label, unit, metric.better, reference,
            is_measured=True, is_detail=metric.optional,
        )  # fmt: skip
        yield heading, {cell["row"]: value_text(cell, metric) for cell in shown}
        if shown[0]["averaged"] > 1 and unit in ("%", "points"):
            # Tasks differ for other reasons than seeds do.
            varied = [f"{what}s" for what in ("experiment", "task") if single[what].nunique() > 1]
            varied = ["seeds"] if shown[0]["seeds"] > 1 else varied
            heading = Heading(
                label, f"std over {' and '.join(varied)}", is_measured=True, is_detail=True
            )
            yield heading, {cell["row"]: number(cell["std"], unit) for cell in shown}
        if published and not (metric.optional and all(pd.isna(c["paper"]) for c in shown)):
            star = "" if published["comparable"] else notes.NOT_COMPARABLE
            heading = Heading(label, f"paper{star}", unit, is_detail=not published["comparable"])
            yield heading, {cell["row"]: _paper(cell, unit) for cell in shown}
    if kind.shows_choice:
        choices = {cell["row"]: choice_text(cell) for cell in first}
        yield Heading(label, "choice", is_detail=True), choices


def number(value: float, unit: str) -> str:
    """Spell a number: two decimals in percent, whole with thousands for a count, NA if missing."""
    if pd.isna(value):
        return NOT_KNOWN
    # Adding zero turns -0.0 into 0.0.
    return f"{round(value, 2) + 0.0:.2f}" if unit else f"{value:,.0f}"


def _spell(value: float, metric: Metric) -> str:
    if metric.spell:
        return metric.spell(None if pd.isna(value) else value)
    return number(value, metric.unit)


def value_text(cell: Mapping, metric: Metric) -> str:
    """Spell a value, its standard error or its range, and the signs of its footnotes."""
    text = NOT_KNOWN if cell[NOTHING_LEFT] is True else _spell(cell["value"], metric)
    if not pd.isna(cell["standard_error"]):
        text += f" ± {number(cell['standard_error'], metric.unit)}"
    if not pd.isna(cell["lowest"]) and cell["lowest"] != cell["highest"]:
        text += f" ({_spell(cell['lowest'], metric)} to {_spell(cell['highest'], metric)})"
    # What no choice changes, such as a share of numbers, has no better direction.
    signs = "".join(note.sign for name, note in FOOTNOTES.items() if cell[name] and metric.better)
    text += f" {signs}" if signs else ""
    return Bold(text) if cell["with_best"] is True else text


def _paper(cell: Mapping, unit: str) -> str:
    """Spell the paper's cell, with a sign if it is second hand, and how far ours is above it."""
    text = number(cell["paper"], unit)
    if is_second_hand(cell["paper_source"]):
        text += f" {notes.COPIED}"
    if pd.isna(cell["difference"]):
        return text
    return f"{text} ({round(cell['difference'], 2) + 0.0:+.2f})"


def choice_text(cell: Mapping) -> str:
    """Spell the chosen coefficients, or their range, or the chosen settings of trained models."""
    if pd.isna(cell["choice"]):
        return "-"
    try:
        values = sorted(map(float, cell["choice"].split()))
    except ValueError:
        return ", ".join(cell["choice"].split())
    ends = [f"{value:.2f}" if value == round(value, 2) else f"{value:g}" for value in values]
    return ends[0] if ends[0] == ends[-1] else f"{ends[0]} to {ends[-1]}"


_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "†": r"$\dagger$", "‡": r"$\ddagger$",
    "§": r"\S{}", "¶": r"\P{}", "°": r"$^\circ$", "∅": r"$\emptyset$",
    "Σ": r"$\Sigma$", "↑": r"$\uparrow$", "<": r"$<$", ">": r"$>$",
})  # fmt: skip


def heading_text(heading: Heading) -> str:
    """Spell a heading with its unit and the direction in which numbers are better."""
    better = f"{heading.better} is better" if heading.better else ""
    if heading.better == "reference":
        better = f"best: {heading.reference}"
    inside = ", ".join(part for part in (heading.unit, better) if part)
    return f"{heading.text} ({inside})" if inside else heading.text


def markdown(layout: Layout) -> str:
    """Write a table as Markdown: title, a block of pipes for each group, notes."""

    def pipes(texts: Iterable[str]) -> str:
        return "| " + " | ".join(map(_markdown, texts)) + " |"

    lines, start = [f"**{_markdown(layout.title)}**", ""], 1
    for group, size in layout.groups():
        headings = layout.headings[start - 1 :][:size]
        lines += [pipes([group, *map(heading_text, headings)]), "|:---" + "|---:" * size + "|"]
        lines += [pipes([row[0], *row[start : start + size]]) for row in layout.rows] + [""]
        start += size
    return "\n".join([*lines, *(f"- {_markdown(note)}" for note in layout.notes)]) + "\n"


def code_spans(text: str) -> list[tuple[str, bool]]:
    """Split a text into pieces, each with whether it stands between backticks, as code does.

    What holds a bar is no code: in a table of Markdown it would end the cell.
    """
    pieces = re.split("`([^`|]+)`", text)
    return [(piece, place % 2 == 1) for place, piece in enumerate(pieces) if piece]


def _markdown(text: str) -> str:
    """Escape what Markdown, or HTML inside it, would read as markup; code stays code."""
    escaped = "".join(
        f"`{piece}`" if is_code else re.sub(r"[\\|*_<`\[]", r"\\\g<0>", piece)
        for piece, is_code in code_spans(text)
    )
    return f"**{escaped}**" if isinstance(text, Bold) else escaped


def latex(layout: Layout) -> str:
    """Write a table as LaTeX, as wide as the text; it needs booktabs and graphicx."""

    def line(texts: Iterable[str]) -> str:
        return " & ".join(texts) + r" \\"

    groups, above, first = layout.groups(), [], [escape(layout.groups()[0][0])]
    if len(groups) > 1:
        ends = [1 + sum(size for _, size in groups[:count]) for count in range(len(groups) + 1)]
        spans = [rf"\multicolumn{{{size}}}{{c}}{{{escape(name)}}}" for name, size in groups]
        rules = [rf"\cmidrule(lr){{{left + 1}-{right}}}" for left, right in pairwise(ends)]
        above, first = [line(["", *spans]), "".join(rules)], [""]
    lines = [
        "% needs \\usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(layout.title)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(layout.headings)}}}",
        r"\toprule",
        *above,
        line([*first, *map(_latex_heading, layout.headings)]),
        r"\midrule",
        *(line(map(escape, row)) for row in layout.rows),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\par\medskip\footnotesize\raggedright",
        *(rf"{escape(note)}\par" for note in layout.notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_heading(heading: Heading) -> str:
    unit = f" ({escape(heading.unit)})" if heading.unit else ""
    arrows = {"lower": r" $\downarrow$", "higher": r" $\uparrow$", "": ""}
    arrows["reference"] = rf" $\to$ {escape(heading.reference)}"
    return escape(heading.text) + unit + arrows[heading.better]


def escape(text: str) -> str:
    """Escape what LaTeX would read as a command; code stays code."""
    escaped = "".join(
        rf"\texttt{{{piece.translate(_LATEX)}}}" if is_code else piece.translate(_LATEX)
        for piece, is_code in code_spans(text)
    )
    return rf"\textbf{{{escaped}}}" if isinstance(text, Bold) else escaped
