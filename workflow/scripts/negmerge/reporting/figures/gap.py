"""The parts of the average gap to Retrain (classifier)."""

from negmerge.errors import find
from negmerge.reporting import style
from negmerge.reporting.kinds import FigureKind
from negmerge.reporting.records import MEAN, read_main_records
from negmerge.scenarios.base import place_of
from negmerge.scenarios.classifier.scenario import GAP_AND_PARTS, GAP_OF, means
from negmerge.seeds import first_of
from negmerge.settings.methods import RETRAIN

COLUMNS = ("experiment", "task", "method", "label", "measure", "value", "reference", "part")


class Gap(FigureKind):
    """A bar for each method, made of the parts of its gap, with a dot for each trial."""

    caption = (
        "The length of a bar is the average gap to Retrain, the model that was trained without "
        "what was to be forgotten; its colours are the measures that it is the mean of. Shorter is "
        "better; a dot is the gap of a single trial."
    )
    scenarios = ("classifier",)
    needs = (RETRAIN,)
    averages = True

    def data(self, figure, scores):
        """List the parts of the gaps, of the means and of each trial; they add up to the gap."""
        import pandas as pd

        by_place = {"/".join(place_of(score)): score for score in read_main_records(scores)}
        rows = []
        for experiment in dict.fromkeys(map(first_of, figure["experiments"])):
            places = {(score["experiment"], score["task"]) for score in by_place.values()}
            trials = sorted(place for place in places if first_of(place[0]) == experiment)
            single = {"/".join(trial).removeprefix(f"{experiment}/"): [trial] for trial in trials}
            for method, label in figure["methods"].items():
                for task, names in {MEAN: trials, **single}.items():
                    values, references = (
                        means([find("score", "/".join((*x, who)), by_place) for x in names])
                        for who in (method, RETRAIN)
                    )
                    for name in GAP_OF:
                        pair = values[name], references[name]
                        part = abs(pair[0] - pair[1]) / len(GAP_OF)
                        rows.append((experiment, task, method, label, name, *pair, part))
        return pd.DataFrame(rows, columns=list(COLUMNS)).round(6)

    def plot(self, figure, data):
        labels = {name: label for name, label in figure["methods"].items() if name != RETRAIN}
        methods, experiments = list(labels), list(data["experiment"].drop_duplicates())
        canvas = style.canvas(6.5, 0.28 * len(methods) * len(experiments) + 1.6)
        grid = canvas.subplots(len(experiments), 1, squeeze=False)[:, 0]
        names = {metric.name: metric.label for metric in GAP_AND_PARTS}
        for axes, experiment in zip(grid, experiments, strict=True):
            panel = data[data["experiment"] == experiment]
            parts = panel[panel["task"] == MEAN].set_index(["measure", "method"])["part"]
            left = [0.0] * len(methods)
            for name, colour in zip(GAP_OF, style.COLOURS, strict=False):
                widths = parts[name][methods].to_list()
                axes.barh(methods, widths, left=left, color=colour, label=names[name])
                left = [start + width for start, width in zip(left, widths, strict=True)]
            trials = panel[panel["task"] != MEAN].groupby(["method", "task"])["part"]
            gaps = trials.sum(min_count=1)
            for place, method in enumerate(methods):
                dots = gaps[method].to_list()
                axes.plot(dots, [place] * len(dots), "o", color=style.BLACK, markersize=3)
            style.list_methods(axes, labels)
            axes.set_xlabel(
                "average gap to Retrain (points), smaller is better; dots: single trials"
            )
            if len(experiments) > 1:
                axes.set_title(experiment)
        canvas.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
        return canvas


KIND = Gap()
