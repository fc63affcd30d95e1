"""What merges make of single coordinates of the pool's vectors (Figure 2)."""

from negmerge.files import read_json
from negmerge.reporting import style
from negmerge.reporting.kinds import MERGES, FigureKind, require_same_points

# Negative, zero, positive.
SIGNS = ("\N{MINUS SIGN}", "0", "+")
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
    of_one_vector = True

    def check(self, experiments, methods):
        require_same_points(experiments, methods)

    def records(self, experiment, folder, methods):
        return {"signs": [f"{folder}/signs/{{figure}}.json"]}

    def data(self, figure, signs):
        import numpy as np
        import pandas as pd

        records = [read_json(path, keys=("experiment", "task")) for path in signs]
        # A pool whose points all diverged has nothing to show.
        records = [record for record in records if record["points"]]
        frames = [pd.DataFrame(columns=list(COLUMNS))] if not records else []
        for record in records:
            values = np.array(list(record["points"].values()))
            agree = np.abs(np.sign(values).sum(axis=0)) == len(values)
            place = {name: record[name] for name in COLUMNS[:3]}
            place |= {"coordinate": record["places"], "agree": agree}
            for series in ("point", "merge"):
                for name, numbers in record[f"{series}s"].items():
                    label = figure["methods"][name] if series == "merge" else name
                    own = {"series": series, "vector": name, "label": label, "value": numbers}
                    frames.append(pd.DataFrame(place | own))
        data = pd.concat(frames, ignore_index=True)
        data.attrs["shares"] = [(record["agreeing"], record["size"]) for record in records]
        return data

    def plot(self, figure, data):
        from negmerge.reporting.notes import spell_chance

        if data.empty:
            canvas = style.canvas(5.5, 1.0)
            text = "the fine-tuning of all points diverged"
            canvas.text(0.5, 0.5, text, ha="center", va="center")
            return canvas
        places = style.places(data)
        heights = [0.24 * panel["vector"].nunique() + 1.3 for _, panel in places]
        canvas = style.canvas(7.0, sum(heights))
        grid = canvas.subplots(len(places), 1, squeeze=False, height_ratios=heights)[:, 0]
        shares = data.attrs["shares"]
        for axes, (place, panel), (agreeing, size) in zip(grid, places, shares, strict=True):
            _draw_panel(axes, panel)
            points = panel.loc[panel["series"] == "point", "vector"].nunique()
            axes.set_title(
                f"{': '.join(place)}, {panel['tensor'].iloc[0]}\n"
                f"all signs agree on {100 * agreeing / size:.1f} % of its {size:,} coordinates; by "
                f"chance {spell_chance(points)}",
                fontsize=9,
            )
        return canvas


def _draw_panel(axes, panel) -> None:
    import numpy as np

    table = panel.pivot(index="vector", columns="coordinate", values="value")
    rows = panel.drop_duplicates("vector")
    points = int((rows["series"] == "point").sum())
    # A row between points and merges says where the signs agree.
    values = np.insert(table.loc[rows["vector"]].to_numpy(), points, np.nan, axis=0)
    agree = panel.drop_duplicates("coordinate").set_index("coordinate")["agree"][table.columns]
    most = float(np.nanmax(np.abs(values))) or 1.0
    axes.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        if row == points:
            text = "✓" if agree.iloc[column] else "✗"
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
