"""The notes below a table: one legend, and one sentence for each thing that a reader must know."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from negmerge.checkpoints.divergence import DIVERGED, TIMES
from negmerge.errors import find
from negmerge.evaluation.outcomes import ENSEMBLE
from negmerge.evaluation.uncertainty import RESAMPLES, SIGNIFICANCE
from negmerge.reporting.cells import is_second_hand
from negmerge.reporting.compare import FEW_POINTS, is_little
from negmerge.reporting.kinds import table_kind
from negmerge.reporting.records import FOOTNOTES, MEAN, TO_FORGET
from negmerge.scenarios.base import Scenario
from negmerge.seeds import first_of, seed_number

NOT_COMPARABLE = " ‡"
COPIED = "*"
BOLD = (
    f"bold: the best of its column, or not told apart from it: two-sided p > {SIGNIFICANCE:g} on "
    "the same {items}, by McNemar's exact test for a single accuracy and by a paired bootstrap "
    "otherwise; several trials must tell the rows apart as well, by a paired t-test. Rows are not "
    "corrected for their number. Each p is in the CSV file."
)
CLOSE_TO_RETRAIN = (
    "Every score is best where it is closest to that of Retrain, the model that was trained "
    "without what was to be forgotten; its scores are in the headings. Average gap: the mean "
    "distance of retain, forget and test accuracy and the attack to them, in points, of the means "
    "shown; its ± is the standard deviation when the images are drawn anew, "
    f"{RESAMPLES:,} times, for the method and Retrain alike, with the attack's verdicts as they "
    "are. The CSV file also holds the mean of the trials' own gaps."
)
STD = (
    "std: standard deviation (divisor k - 1) over the cells that are averaged, or over the means "
    "of the seeds; the single cells are in the CSV file. In ±, cells on the same items count as "
    "one, with the mean of their errors, which is the most that it can be."
)

TRAINED_ON = {
    "all": "methods that train on retain questions see all of them, those that are scored, too.",
    "choosing": "methods that train on retain questions see only those that choose, none that is "
    "scored.",
}


def notes(table: Mapping, cells: pd.DataFrame) -> list[str]:
    kind, rows = table_kind(table["kind"]), cells[cells["row"].notna()]
    scenarios = {one.name: one for one in map(kind.scenario, table["columns"])}.values()

    def of_columns(say: Callable[[Scenario, pd.DataFrame], Iterable[str]]) -> list[str]:
        """Say something of each column; columns of which the same is true share a line."""
        labels: dict[str, list[str]] = {}
        for column in table["columns"]:
            own = cells[cells["column"] == column["label"]]
            for text in say(kind.scenario(column), own):
                labels.setdefault(text, []).append(column["label"])
        return [
            text if 1 < len(names) == len(table["columns"]) else f"{', '.join(names)}: {text}"
            for text, names in labels.items()
        ]

    lines = [kind.caption, *of_columns(_averaged)]
    if cells["p_value"].notna().any():
        lines += of_columns(_comparison)
    if kind.is_scored and any(scenario.aims_at_retrain for scenario in scenarios):
        lines.append(CLOSE_TO_RETRAIN)
    lines += kind.notes(table, rows)
    lines += of_columns(_criteria) + of_columns(_trained_on)
    if cells["with_best"].eq(True).any():
        lines += [BOLD.format(items=scenario.items) for scenario in scenarios]
    if rows["standard_error"].notna().any():
        lines += [kind.error] if kind.error else [f"{scenario.error}." for scenario in scenarios]
    if (rows["averaged"] > 1).any():
        lines.append(STD)
    # The rows of a sweep are not named after its methods alone.
    lines += diverged_notes(rows.assign(row=rows["method"].map(table["rows"])))
    lines += [
        f"{note.sign}: {note.text}" for name, note in FOOTNOTES.items() if rows[name].eq(True).any()
    ]
    for row, times in rows.loc[rows[TIMES].notna(), ["row", TIMES]].drop_duplicates().values:
        lines.append(
            f"{row}: by construction {times} times the mean. Its coefficient is in units of the "
            "mean, so the row is equal to that of the mean."
        )
    single = rows[(rows["experiment"] != MEAN) & rows[ENSEMBLE].notna()]
    for row, text in single[["row", ENSEMBLE]].drop_duplicates().values:
        lines.append(
            f"{row}: a bound, no model to hand on: the probabilities of models drawn from the "
            f"simplex of the pool are averaged; {text} of them."
        )
    lines += [*table.get("differs", []), *_paper(table, kind.about_paper, rows)]
    return [*dict.fromkeys(lines), *([table["note"]] if table.get("note") else [])]


def _averaged(scenario: Scenario, cells: pd.DataFrame) -> list[str]:
    """Say over which experiments and tasks a column averages, and on how many items."""
    single = cells[cells["row"].notna() & (cells["experiment"] != MEAN)]
    # A row without a model has no items.
    counted = single[single["images"].notna()]
    row = single[single["row"] == (single if counted.empty else counted)["row"].iloc[0]]
    firsts = (row["experiment"].map(first_of) + "/" + row["task"]).drop_duplicates()
    averaged = len(row[["experiment", "task"]].drop_duplicates())
    mean = f"mean of {averaged} cells, " if averaged > 1 else ""
    seeds = row["experiment"].map(seed_number).nunique()
    mean += f"{seeds} seeds of " if seeds > 1 else ""
    means = cells[(cells["experiment"] == MEAN) & (cells["row"] == row["row"].iloc[0])]
    images = means.set_index("metric")["images"]
    roles = {metric: metric.removesuffix("_as_is").split("_") for metric in images.index}
    counts = [
        f"{int(images[metric]):,} {' '.join(role)}"
        for metric, role in roles.items()
        if images[metric] > 0 and set(role) <= set(scenario.roles)
    ]
    items = f"; {spell_list(counts)} {scenario.items}" if counts else ""
    return [f"{mean}{', '.join(firsts)}{items}."]


def _comparison(scenario: Scenario, cells: pd.DataFrame) -> list[str]:
    """Say how much there is to forget, and how many trials there are."""
    amounts = cells[(cells["metric"] == TO_FORGET) & (cells["experiment"] == MEAN)]
    if amounts.empty:
        needed = spell_list([f"`{method}`" for method in scenario.needed])
        lines = [f"how much there is to forget is not known without {needed}."]
    else:
        lines = [spell_amount(scenario, amounts.iloc[0])]
    if number_of_trials(scenario, cells) == 1:
        order = f"another training may give another order on the same {scenario.items}"
        lines.append(f"there is one seed, and {order}.")
    return lines


def spell_amount(scenario: Scenario, cell: Mapping) -> str:
    """Say what the models know that do and that do not know what is forgotten."""
    knows, never = scenario.knows
    text = (
        f"{knows} {scenario.says.format(share=cell['value'] + cell['reference'])}, {never} "
        f"{cell['reference']:.2f} %, which leaves {cell['value']:.2f} ± "
        f"{cell['standard_error']:.2f} points to forget ({spell_p(cell['p_value'])})"
    )
    if is_little(cell["value"], cell["p_value"]):
        text += f", too little to rank rows: less than {FEW_POINTS:g} or not told apart from 0"
    return f"{text}."


def number_of_trials(scenario: Scenario, column: pd.DataFrame) -> int:
    """Count the trials behind a column: tasks where they repeat, otherwise experiments."""
    places = column[column["experiment"] != MEAN][["experiment", "task"]].drop_duplicates()
    return len(places) if scenario.tasks_repeat else places["experiment"].nunique()


def _criteria(scenario: Scenario, cells: pd.DataFrame) -> list[str]:
    single = cells[cells["experiment"] != MEAN].dropna(subset=["coefficient", "criterion", "keep"])
    chosen = single[["criterion", "by", "among", "keep"]].drop_duplicates()
    return [
        f"criterion `{criterion}`{'' if pd.isna(among) else f', which is {among},'} chooses "
        f"{spell_criterion(scenario, by, keep)}."
        for criterion, by, among, keep in chosen.itertuples(index=False)
    ]


def _trained_on(_: Scenario, cells: pd.DataFrame) -> list[str]:
    """Say what methods that train saw of the items that are scored, where that is a choice."""
    names = dict.fromkeys(" ".join(cells["trained_on"].dropna()).split())
    return [find("choice of trained_on", name, TRAINED_ON) for name in names]


def spell_criterion(scenario: Scenario, criterion: str, keep: float | str) -> str:
    text = find("criterion", criterion, scenario.criteria)
    return text.format(keep=f"{100 * float(keep):.4g} %")


def chance_of_agreement(models: int) -> float:
    """Return how often random signs of K models are all + or all -: 100 * 2^(1 - K) percent."""
    return 100 * 2.0 ** (1 - models)


def spell_chance(models: int) -> str:
    """Spell how often random signs of K models are all + or all -, and why."""
    return f"{chance_of_agreement(models):.3g} % = 2^(1 - {models})"


def spell_p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def spell_list(texts: Sequence[str]) -> str:
    """Spell several things as one says them: `a, b and c`."""
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def diverged_notes(cells: pd.DataFrame) -> list[str]:
    """Name the points and trained models that diverged, and say how many remained, if known."""
    single = cells[(cells["experiment"] != MEAN) & cells[DIVERGED].notna()]
    rows: dict[str, list[str]] = {}
    for cell in single.drop_duplicates(["experiment", "task", "row"]).to_dict("records"):
        names = cell[DIVERGED].split()
        remaining = "missing from"
        if not pd.isna(cell["models"]):
            # Of the grid of a method that trains, or of the pool.
            is_grid = cell["kind"] == "unlearn"
            remain = int(cell["tried"]) - len(names) if is_grid else int(cell["models"])
            remaining = f"{remain} of {remain + len(names)} models remain for"
        text = (
            f"{cell['experiment']}/{cell['task']}: left out, since their training diverged: "
            f"{', '.join(names)}; {remaining}"
        )
        rows.setdefault(text, []).append(cell["row"])
    return [f"{text} {spell_list(list(dict.fromkeys(of)))}." for text, of in rows.items()]


def _paper(table: Mapping, more: str, cells: pd.DataFrame) -> list[str]:
    published = [column["published"] for column in table["columns"] if column["published"]]
    if not published:
        return []
    lines = ["paper: the published cell, NA where it is not known to us."]
    if any(place["comparable"] for place in published):
        some = any(isinstance(place["comparable"], Mapping) for place in published)
        lines.append("In brackets stands ours minus the paper's, in points.")
        lines += ["Cells without it are from other works, on another split."] if some else []
    lines += [more] if more else []
    if cells["paper_source"].map(is_second_hand).any():
        lines.append(
            f"{COPIED}: second hand. Others copied the cell from the paper, or measured it; "
            "`paper_source` in the CSV file names them, see config/published/README.md."
        )
    if not all(place["comparable"] for place in published):
        lines.append(
            "‡: for orientation only. Model and data are not the paper's: no difference is given."
        )
    return lines
