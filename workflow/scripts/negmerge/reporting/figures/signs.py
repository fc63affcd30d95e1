"""What merges make of single coordinates of the pool's vectors (Figure 2)."""

from collections.abc import Mapping, Sequence

from negmerge.files import read_json
from negmerge.reporting import style
from negmerge.reporting.kinds import MERGES, FigureKind, require_same_points

POINT, MERGE = "point", "merge"
# Negative, zero, positive.
SIGNS = ("\N{MINUS SIGN}", "0", "+")
COLOURS = "RdBu_r"
COLUMNS = (
    "experiment", "task", "tensor", "coordinate", "agree", "series", "vector", "label", "value",
)  # fmt: skip


class Signs(FigureKind):
    """A panel for each task: coordinates as columns, points and below them merges as rows."""

    caption = (
        "Some numbers of the task vectors of the pool, one row for each model, and below them what "
        "merges make of them. Blue is negative, red positive. Half of the columns were chosen "
        "among the coordinates on which all signs agree, half among the others, both evenly "
        "spread; the share is that of all coordinates, beside the share by chance, 2^(1 - K) for "
        "random signs of K models."
    )
    shows = MERGES

    def check(self, experiments, methods):
        """Check that all merges are of the same vectors."""
        require_same_points(experiments, methods)

    def records(self, experiment, folder, methods):
        """Return the paths of what the rule `signs` notes for the figure."""
        return {"signs": [f"{folder}/signs/{{figure}}.json"]}

    def draw(self, figure, signs):
        """Draw the numbers."""
        records = [read_json(path, keys=("experiment", "task")) for path in signs]
        # A pool whose points all diverged has nothing to show.
        shown = [record for record in records if record["points"]]
        data = _data(figure, shown)
        return _plot(data, shown), data


def _data(figure: Mapping, records: Sequence[Mapping]):
    """List what the figure shows, a row for each vector and coordinate."""
    import numpy as np
    import pandas as pd

    frames = []
    for record in records:
        values = np.array(list(record["points"].values()))
        agree = np.abs(np.sign(values).sum(axis=0)) == len(values)
        labels = {name: record[name] for name in ("experiment", "task", "tensor")}
        labels |= {"coordinate": record["places"], "agree": agree}
        for series, vectors in ((POINT, record["points"]), (MERGE, record["merges"])):
            for name, numbers in vectors.items():
                label = figure["methods"][name] if series == MERGE else name
                own = {"series": series, "vector": name, "label": label, "value": numbers}
                frames.append(pd.DataFrame(labels | own))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def _plot(data, records: Sequence[Mapping]):
    from negmerge.reporting.notes import spell_chance

    if not records:
        canvas = style.canvas(5.5, 1.0)
        canvas.text(0.5, 0.5, "the fine-tuning of all points diverged", ha="center", va="center")
        return canvas
    panels = [panel for _, panel in style.places(data)]
    heights = [0.24 * panel["vector"].nunique() + 1.3 for panel in panels]
    canvas = style.canvas(7.0, sum(heights))
    grid = canvas.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, panel, record in zip(grid, panels, records, strict=True):
        _draw_panel(axes, panel)
        axes.set_title(
            f"{record['experiment']}: {record['task']}, {record['tensor']}\n"
            f"all signs agree on {100 * record['agreeing'] / record['size']:.1f} % of its "
            f"{record['size']:,} coordinates; by chance {spell_chance(len(record['points']))}",
            fontsize=9,
        )
    return canvas


def _draw_panel(axes, panel) -> None:
    import numpy as np

    table = panel.pivot(index="vector", columns="coordinate", values="value")
    rows = panel.drop_duplicates("vector")
    values = table.loc[rows["vector"]].to_numpy()
    points = int((rows["series"] == POINT).sum())
    # A row between points and merges says where the signs agree.
    blank = np.full((1, values.shape[1]), np.nan)
    values = np.concatenate([values[:points], blank, values[points:]])
    agree = panel.drop_duplicates("coordinate").set_index("coordinate")["agree"][table.columns]
    most = float(np.nanmax(np.abs(values))) or 1.0
    axes.imshow(values, cmap=COLOURS, vmin=-most, vmax=most, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if row == points:
            text, colour = ("✓" if agree.iloc[column] else "✗"), style.BLACK
        else:
            text = SIGNS[int(np.sign(value)) + 1]
            # White on the dark ends of the scale.
            colour = "white" if abs(value) > 0.6 * most else style.BLACK
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    labels = [*rows["label"][:points], "all signs agree", *rows["label"][points:]]
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.set_xticks(range(len(table.columns)), table.columns, fontsize=7, rotation=45, ha="right")
    axes.set_xlabel("coordinate")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


KIND = Signs()
