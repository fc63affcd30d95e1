"""Share of what a method changed that is large enough to survive rounding to int8 and int4."""

from negmerge.reporting import style
from negmerge.reporting.kinds import FigureKind
from negmerge.reporting.records import read_main_records
from negmerge.reporting.tables.durability import require_treatment

COLUMNS = (
    "experiment", "task", "method", "label", "coefficient", "form", "group_size", "changed",
    "surviving", "surviving_numbers", "moved_numbers",
)  # fmt: skip
# Each of them a part of a whole, by the names of `evaluation.rounding.Survival`.
SHARES = {
    "surviving": ("large_change", "change"),
    "surviving_numbers": ("large", "changed"),
    "moved_numbers": ("moved", "changed"),
}
HEIGHT = 0.36


class Survival(FigureKind):
    """A panel for each experiment and task, with a bar for each method and form of rounding."""

    caption = (
        "What a method changed, beside the steps of rounding. A bar is the share of the change, by "
        "magnitude, in numbers that changed by half a step or more: |coefficient x vector| against "
        "half of the step that the number's group has in the base. Of a smaller change it depends "
        "on the number whether the change is lost: the dot is the share of the changed numbers "
        "that round to another value than before. Only weights that are rounded count."
    )
    shows = ("single", "merge", "greedy", "unlearn")
    averages = True

    def check(self, experiments, methods):
        require_treatment(experiments)

    def records(self, experiment, folder, methods):
        return {"durability": [f"{folder}/durability/{method}.json" for method in methods]}

    def data(self, figure, durability):
        """List the shares of what the main criterion chose; a model that is the base has none."""
        import pandas as pd

        rows = [
            record
            | {"label": figure["methods"][record["method"]], "form": form}
            | {"changed": part["changed"]}
            | {
                share: 100 * part[some] / part[whole] if part["changed"] else None
                for share, (some, whole) in SHARES.items()
            }
            for record in read_main_records(durability)
            for form, part in record["survival"].items()
        ]
        frame = pd.DataFrame(rows, columns=list(COLUMNS))
        return style.over_seeds(frame, ("coefficient", "changed", *SHARES)).round(6)

    def plot(self, figure, data):
        places = style.places(data)
        methods, forms = list(figure["methods"]), list(data["form"].drop_duplicates())
        height = len(places) * (0.75 + HEIGHT * len(methods) * max(len(forms), 1)) + 1.2
        canvas = style.canvas(6.5, height)
        grid = canvas.subplots(max(len(places), 1), 1, squeeze=False, sharex=True)[:, 0]
        for axes, ((experiment, task), panel) in zip(grid, places, strict=True):
            for number, (form, colour) in enumerate(zip(forms, style.COLOURS, strict=False)):
                shares = panel[panel["form"] == form].set_index("method").reindex(methods)
                offset = (number - (len(forms) - 1) / 2) * HEIGHT
                lines = [place + offset for place in range(len(methods))]
                bars = shares["surviving"]
                axes.barh(lines, bars.fillna(0), HEIGHT * 0.9, color=colour, label=form)
                dots = {"color": style.BLACK, "markersize": 5, "markeredgecolor": "white"}
                axes.plot(shares["moved_numbers"], lines, "o", **dots)
                for line, value in zip(lines, bars, strict=True):
                    axes.annotate(
                        f"{value:.1f}" if value == value else "nothing changed", (100, line),
                        (4, 0), textcoords="offset points", va="center", fontsize=8,
                        annotation_clip=False,
                    )  # fmt: skip
            style.list_methods(axes, figure["methods"])
            axes.set(xlim=(0, 100), title=f"{experiment}: {task}")
        grid[-1].set_xlabel(
            "bars: share of the change, by magnitude, of half a step or more (%)\n"
            "dots: share of the changed numbers that round to another value (%)"
        )
        handles = grid[0].get_legend_handles_labels()
        canvas.legend(*handles, loc="outside upper center", ncols=len(forms))
        return canvas


KIND = Survival()
