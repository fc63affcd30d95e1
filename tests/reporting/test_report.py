import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from reporting_examples import benchmark, choice, outcomes, table, write_json

from negmerge import plugins
from negmerge.errors import UserError
from negmerge.paths import record_files
from negmerge.reporting.cells import cells, write_cells
from negmerge.reporting.findings import findings
from negmerge.reporting.report import read_tables, report
from negmerge.settings.study import load_study

CONFIG = plugins.PACKAGE.parents[2] / "config"
# What the rows of table1 are made from; of table2 no files are known.
FILES = {
    f"a/{task}/{method}": [f"a/{task}/scores/{method}.json"]
    for task in ("digits", "letters")
    for method in ("pretrained", "negmerge", "uniform")
}
PIXEL = bytes.fromhex("89504e470d0a1a0a")
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Collects what a page refers to, and checks that its tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.references, self.open, self.texts = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.references += [value for key, value in attributes if key in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.references += [value for key, value in attributes if key in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())


EXPERIMENT = {
    "scenario": "zero-shot", "model": "mini-clip", "control": "fashion", "freeze": "attention",
    "tasks": ["digits", "letters"], "methods": {"pretrained": {}, "negmerge": {}},
    "pool": {"grid": {"m": [1, 5], "n": [1, 3]}, "recipe": {}, "points": {}},
}  # fmt: skip
FIGURE = {
    "kind": "tradeoff",
    "title": "Trade",
    "experiments": ["a"],
    "methods": {"negmerge": "NegMerge"},
}
STUDY = {
    "title": "Forget <script>alert(1)</script>",
    "seed": 0,
    "experiments": {"a": EXPERIMENT},
    "tables": {"table1": table(), "table2": table(title="The second table")},
    "figures": {"figure1a": FIGURE},
}


@pytest.fixture
def page(scores, tmp_path):
    """A function that writes the report, without outcomes of single images or with them."""
    (tmp_path / "figure1a.png").write_bytes(PIXEL)
    choices = [
        choice("a", "digits", "negmerge", 1.5, 31.25, 77.0, upper_end=True),
        choice("a", "digits", "pretrained", 0.0, None, None, vector=None, control_baseline=None),
    ]

    def write(images=(), points=None):
        if points is not None:
            points.to_csv(tmp_path / "figure1a.csv", index=False)
        for name, definition in STUDY["tables"].items():
            write_cells(tmp_path / f"{name}.csv", cells(definition, scores, {}, images))
        tables = read_tables(STUDY, [*tmp_path.glob("table*.csv"), tmp_path / "table1.md"])
        return report(
            name="demo",
            study=STUDY,
            pool_sizes={"a": 4},
            findings=findings(STUDY, tables),
            tables=tables,
            files={"table1": FILES},
            figures=sorted(tmp_path.glob("figure1a.*")),
            selected=[write_json(tmp_path / f"{one['method']}.json", [one]) for one in choices],
            benchmarks=[benchmark(tmp_path, "fine_tune/x.tsv", 61.5, "-", 321.0, 1, 50)],
            drawing="<svg><title>the rules</title></svg>",
        )

    return write


def test_report_refers_to_nothing_outside(page):
    text = page()
    references = Page(text).references
    assert references
    records = set().union(*FILES.values())
    assert all(
        reference.startswith(("#", "data:image/png;base64,")) or reference in records
        for reference in references
    )
    # Links inside the page have a target.
    inside = [reference[1:] for reference in references if reference.startswith("#")]
    assert all(f'id="{anchor}"' in text for anchor in inside)
    assert not re.search(r"@import|url\((?!#)|<script|<link", text)
    assert "Forget &lt;script&gt;" in text
    assert "data:image/png;base64,iVBORw0KGgo=" in references


def test_report_holds_every_table_figure_and_choice(page):
    texts = Page(page()).texts
    assert {"Forgetting", "The second table", "Trade"} <= set(texts)
    assert [text for text in texts if "Each line follows one vector from the base (star)" in text]
    # Mean forget accuracy of NegMerge, and what was chosen for it.
    assert "30.00 ± 2.24" in texts
    assert {"1.5", "†", "31.25"} <= set(texts)


def test_findings_come_first_and_the_best_of_a_column_is_bold(page, scores):
    text = page([outcomes(one) for one in scores])
    assert (
        text.index('id="answer"')
        < text.index('id="found"')
        < text.index('id="tables"')
        < text.index('id="study"')
    )
    assert "B/32: NegMerge, with forget accuracy 30.00 ± 2.24 %." in Page(text).texts
    assert "<b>30.00 ± 2.24</b>" in text
    assert "digits 50.00 ± 3.46, letters 40.00 ± 3.54" in text


@pytest.mark.parametrize(
    ("tasks", "singles", "coefficients", "shown"),
    [(2, 4, 15, 2), (8, 30, 20, 3), (1, 5, 400, 0)],
)
def test_the_trade_off_is_live_within_its_bytes(page, tasks, singles, coefficients, shown):
    plain = page()
    vectors = [("single", f"m{n}") for n in range(singles)] + [("negmerge", "negmerge")]
    rows = [
        ("a", f"task{task}", series, "NegMerge", vector, step, 80 - 9 * step / coefficients)
        for task in range(tasks)
        for series, vector in vectors
        for step in range(coefficients)
    ]
    names = ["experiment", "task", "series", "label", "vector", "coefficient", "control"]
    points = pd.DataFrame(rows, columns=names).assign(threshold=76.0)
    points["forget"] = 60 - 30 * points["coefficient"] / coefficients
    points["chosen"] = points["series"].eq("negmerge") & points["coefficient"].eq(coefficients // 4)
    text = page(points=points)
    # What cannot be live is the picture, which stays among the figures otherwise.
    assert text.count('class="area"') == shown
    assert 'src="data:image/png' in text
    assert len(text.encode()) - len(plain.encode()) < 40_000
    buttons = re.findall(r'<input type="radio" name="(p[^"]+)"[^>]*>', text)
    checked = re.findall(r'<input type="radio" name="(p[^"]+)"[^>]* checked>', text)
    # Tab reaches each line once, at what was chosen.
    assert sorted(checked) == sorted(set(buttons))
    assert len(buttons) == shown * (coefficients - 1)
    Page(text)


def test_a_number_leads_to_the_records_that_it_is_the_mean_of(page):
    text = page()
    (anchor,) = re.findall(r'<a href="#(records-table1-\d+)">(?:<b>)?30\.00 ± 2\.24', text)
    panel = text.partition(f'id="{anchor}"')[2].partition("</aside>")[0]
    for task in ("digits", "letters"):
        assert f'href="a/{task}/scores/negmerge.json"' in panel
    assert "mean of 2 records" in panel
    assert (
        "forget accuracy 20.00 ± 2.83 % of 200 images; control accuracy 75.00 ± 3.06 % of 200 "
        "images; chosen by criterion <code>control</code>: 0.50"
    ) in panel


def test_every_row_of_every_table_of_a_study_has_files():
    study = load_study(CONFIG, "demo-full")
    files = record_files(study)
    assert list(files) == list(study.tables)
    assert all(paths for rows in files.values() for paths in rows.values())
    assert files["table1"]["mini-clip/digits/negmerge"] == ["mini-clip/digits/scores/negmerge.json"]
    rows = {f"mini-resnet/trial1/{method}" for method in study.tables["table2"].rows}
    assert set(files["table2"]) == rows


def test_a_table_that_the_study_does_not_have_is_an_error():
    with pytest.raises(UserError, match="unknown table 'table7'"):
        read_tables(STUDY, ["table7.csv"])
