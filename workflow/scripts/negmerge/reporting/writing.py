"""Tables for people, as Markdown and as LaTeX."""

import re

from negmerge.reporting.layout import Bold, Heading, Layout

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "†": r"$\dagger$", "‡": r"$\ddagger$",
    "§": r"\S{}", "¶": r"\P{}", "°": r"$^\circ$", "∅": r"$\emptyset$",
    "Σ": r"$\Sigma$", "<": r"$<$", ">": r"$>$",
}  # fmt: skip
_ARROWS = {"lower": r" $\downarrow$", "higher": r" $\uparrow$", "": ""}


def heading_text(heading: Heading) -> str:
    """Spell a heading with its unit and the direction in which numbers are better."""
    better = f"{heading.better} is better" if heading.better else ""
    if heading.better == "reference":
        better = f"best: {heading.reference}"
    inside = ", ".join(part for part in (heading.unit, better) if part)
    return f"{heading.text} ({inside})" if inside else heading.text


def markdown(layout: Layout) -> str:
    """Write a table as Markdown: title, a block of pipes for each group, notes."""
    lines = [f"**{_markdown(layout.title)}**", ""]
    start = 1
    for group, size in layout.groups:
        headings = [heading_text(heading) for heading in layout.headings[start - 1 :][:size]]
        lines += [
            _pipes([group, *headings]),
            "|:---" + "|---:" * size + "|",
            *(_pipes([row[0], *row[start : start + size]]) for row in layout.rows),
            "",
        ]
        start += size
    lines += [f"- {_markdown(note)}" for note in layout.notes]
    return "\n".join(lines) + "\n"


def _pipes(texts: list[str]) -> str:
    return "| " + " | ".join(_markdown(text) for text in texts) + " |"


def code_spans(text: str) -> list[tuple[str, bool]]:
    """Split a text into pieces, each with whether it stands between backticks, as code does.

    What holds a bar is no code: in a table of Markdown it would end the cell.
    """
    pieces = re.split("`([^`|]+)`", text)
    return [(piece, place % 2 == 1) for place, piece in enumerate(pieces) if piece]


def _markdown(text: str) -> str:
    """Escape what Markdown, or HTML inside it, would read as markup; code stays code."""
    escaped = "".join(
        f"`{piece}`"
        if is_code
        else "".join(f"\\{sign}" if sign in "\\|*_<`[" else sign for sign in piece)
        for piece, is_code in code_spans(text)
    )
    return f"**{escaped}**" if isinstance(text, Bold) else escaped


def latex(layout: Layout) -> str:
    """Write a table as LaTeX, as wide as the text; it needs booktabs and graphicx."""
    several = len(layout.groups) > 1
    spans = [rf"\multicolumn{{{size}}}{{c}}{{{escape(name)}}}" for name, size in layout.groups]
    rules, start = [], 2
    for _, size in layout.groups:
        rules.append(rf"\cmidrule(lr){{{start}-{start + size - 1}}}")
        start += size
    headings = [_latex_heading(heading) for heading in layout.headings]
    lines = [
        "% needs \\usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(layout.title)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(headings)}}}",
        r"\toprule",
        *([_ampersands(["", *spans]), "".join(rules)] if several else []),
        _ampersands(["" if several else escape(layout.groups[0][0]), *headings]),
        r"\midrule",
        *(_ampersands([escape(text) for text in row]) for row in layout.rows),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\par\medskip\footnotesize\raggedright",
        *(rf"{escape(note)}\par" for note in layout.notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_heading(heading: Heading) -> str:
    unit = f" ({escape(heading.unit)})" if heading.unit else ""
    if heading.better == "reference":
        return escape(heading.text) + unit + rf" $\to$ {escape(heading.reference)}"
    return escape(heading.text) + unit + _ARROWS[heading.better]


def _ampersands(texts: list[str]) -> str:
    return " & ".join(texts) + r" \\"


def escape(text: str) -> str:
    """Escape what LaTeX would read as a command."""
    escaped = "".join(
        rf"\texttt{{{_plain_latex(piece)}}}" if is_code else _plain_latex(piece)
        for piece, is_code in code_spans(text)
    )
    return rf"\textbf{{{escaped}}}" if isinstance(text, Bold) else escaped


def _plain_latex(text: str) -> str:
    return "".join(_LATEX.get(sign, sign) for sign in text)
