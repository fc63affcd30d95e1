import pytest
from reporting_examples import PAPER, lay_out, published, table

from negmerge.reporting.cells import cells
from negmerge.reporting.layout import latex, markdown, number


def printed(scores, **changes):
    definition = table(**changes)
    return lay_out(definition, cells(definition, scores, PAPER))


def row(text, label):
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {label} ")]
    return [part.strip() for part in line.strip("|").split("|")]


def test_paper_stands_beside_with_the_difference_where_that_can_be_compared(scores):
    for comparable, cell in ((True, "20.76 (-0.76)"), (False, "20.76")):
        column = {"published": published(comparable=comparable), "tasks": ["digits"]}
        text = markdown(printed(scores, column=column))
        assert row(text, "NegMerge")[2] == cell
        assert row(text, "Pre-trained")[2] == "NA"
        for part in ("paper ‡", "Model and data are not the paper's"):
            assert (part in text) != comparable


def test_a_cell_of_the_paper_that_is_second_hand_is_marked(scores):
    definition = table(column={"published": published(), "tasks": ["digits"]})
    for source, cell in (("NOTE+ZSJSON", r"20.76 \* (-0.76)"), ("NB", "20.76 (-0.76)")):
        frame = cells(definition, scores, {"table1": PAPER["table1"].assign(source=source)})
        text = markdown(lay_out(definition, frame))
        assert row(text, "NegMerge")[2] == cell
        assert ("second hand" in text) == (source != "NB")
        assert set(frame["paper_source"].dropna()) == {source}


FOOTNOTES = {
    "†": ({"upper_end": True}, r"$\dagger$"),
    "§": ({"lower_end": True}, r"\S{}"),
    "¶": ({"unchanged": True, "coefficient": 0.0}, r"\P{}"),
    "°": ({"searched": False, "kind": "merge"}, r"$^\circ$"),
    "∅": ({"vector": None, "diverged": ["m1"]}, r"$\emptyset$"),
}


@pytest.mark.parametrize("sign", FOOTNOTES)
def test_only_the_row_of_such_a_choice_has_a_footnote_and_only_then_it_is_explained(scores, sign):
    changes, command = FOOTNOTES[sign]
    assert sign not in markdown(printed(scores))
    scores[1] |= changes
    text = markdown(printed(scores))
    assert row(text, "NegMerge")[1].endswith(sign)
    assert not row(text, "Uniform Merge")[1].endswith(sign)
    assert len([line for line in text.splitlines() if line.startswith(f"- {sign}: ")]) == 1
    # At each number, and in the explanation.
    assert latex(printed(scores)).count(command) == 3


def test_notes_on_all_columns_stand_once(scores):
    columns = [table()["columns"][0] | {"label": label} for label in ("one", "two")]
    notes = printed(scores, columns=columns).notes
    assert len([note for note in notes if note.startswith("criterion `control` chooses")]) == 1
    assert [note for note in notes if "95 % of the base's control accuracy" in note]
    assert len([note for note in notes if note.startswith("±: ")]) == 1


def test_markup_is_escaped_and_what_stands_between_backticks_is_code(scores):
    column = {"label": "rule `re_tain`", "tasks": ["digits"]}
    rows = {"negmerge": "a `b|c` <i>_x_"}
    layout = printed(scores, column=column, rows=rows, title=r"100 % & \a{b}^#$~")
    text = markdown(layout)
    assert "| rule `re_tain` |" in text
    # What holds a bar is no code.
    assert "| a \\`b\\|c\\` \\<i>\\_x\\_ |" in text
    text = latex(layout)
    assert r"rule \texttt{re\_tain}" in text
    assert r"\_x\_ & 20.00 $\pm$ 2.83" in text
    assert (
        r"\caption{100 \% \& \textbackslash{}a\{b\}\textasciicircum{}\#\$\textasciitilde{}}" in text
    )


def test_every_latex_row_has_as_many_cells_as_the_table_has_columns(scores):
    column = table(column={"published": published()})["columns"][0]
    columns = [column, column | {"label": "digits", "tasks": ["digits"], "published": None}]
    printed_table = printed(scores, columns=columns)
    text = latex(printed_table)
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    assert {line.count("&") for line in body.split("\\\\")[:-1]} == {len(printed_table.headings)}
    assert printed_table.groups() == [("B/32", 7), ("digits", 3)]
    assert r"\cmidrule(lr){2-8}\cmidrule(lr){9-11}" in text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(-0.001, "%", "0.00"), (12.345678, "%", "12.35"), (1e6, "", "1,000,000"), (None, "%", "NA")],
)
def test_number(value, unit, text):
    assert number(value, unit) == text
