import pytest
from reporting_examples import PAPER, lay_out, published, score, table

from negmerge.reporting.cells import cells
from negmerge.reporting.layout import latex, markdown, number


def printed(scores, **changes):
    definition = table(**changes)
    return lay_out(definition, cells(definition, scores, PAPER))


def row(text, label):
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {label} ")]
    return [part.strip() for part in line.strip("|").split("|")]


def test_markdown_holds_value_error_and_coefficient(scores):
    text = markdown(printed(scores, column={"tasks": ["digits"]}))
    assert row(text, "NegMerge") == ["NegMerge", "20.00 ± 2.83", "75.00 ± 3.06", "0.50"]
    assert row(text, "Pre-trained")[-1] == "-"
    assert "forget accuracy (%, lower is better)" in text
    assert "control accuracy (%, higher is better)" in text


def test_paper_stands_beside_with_the_difference(scores):
    text = markdown(printed(scores, column={"published": published(), "tasks": ["digits"]}))
    assert row(text, "NegMerge")[2] == "20.76 (-0.76)"
    assert row(text, "Pre-trained")[2] == "NA"
    assert "‡" not in text


def test_paper_that_is_not_comparable_is_marked_and_has_no_difference(scores):
    column = {"published": published(comparable=False), "tasks": ["digits"]}
    text = markdown(printed(scores, column=column))
    assert row(text, "NegMerge")[2] == "20.76"
    assert "paper ‡" in text
    assert "Model and data are not the paper's" in text


@pytest.mark.parametrize(("source", "is_marked"), [("NOTE+ZSJSON", True), ("NB", False)])
def test_a_cell_of_the_paper_that_is_second_hand_is_marked(scores, source, is_marked):
    definition = table(column={"published": published(), "tasks": ["digits"]})
    found = cells(definition, scores, {"table1": PAPER["table1"].assign(source=source)})
    text = markdown(lay_out(definition, found))
    assert row(text, "NegMerge")[2] == (r"20.76 \* (-0.76)" if is_marked else "20.76 (-0.76)")
    assert row(text, "Pre-trained")[2] == "NA"
    assert ("second hand" in text) == is_marked
    of_negmerge = found[found["method"].eq("negmerge") & found["paper"].notna()]
    assert set(of_negmerge["paper_source"]) == {source}


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


def test_markup_in_labels_is_escaped():
    rows = {"negmerge": "a|b <i>_x_"}
    scores = [score("a", "digits", "negmerge", 1, 1)]
    assert r"| a\|b \<i>\_x\_ |" in markdown(printed(scores, rows=rows))
    assert r"\_x\_ & 0.50 $\pm$ 0.50" in latex(printed(scores, rows=rows, title="100 % & more"))
    text = latex(printed(scores, rows=rows, title=r"100 % & \a{b}^#$~"))
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


def test_what_stands_between_backticks_is_code_in_every_form(scores):
    column = {"label": "rule `re_tain`", "tasks": ["digits"]}
    found = printed(scores, column=column, rows={"negmerge": "a `b|c` d_e"})
    assert "| rule `re_tain` |" in markdown(found)
    # What holds a bar is none.
    assert "| a \\`b\\|c\\` d\\_e |" in markdown(found)
    assert r"rule \texttt{re\_tain}" in latex(found)
