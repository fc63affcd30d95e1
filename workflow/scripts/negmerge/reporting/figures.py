"""Figures of a study, each with the numbers that it shows."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from negmerge.errors import UserError, unknown
from negmerge.reporting import style
from negmerge.reporting.gap_parts import draw_gap, gap_data
from negmerge.reporting.heatmaps import Heatmaps, draw_heatmaps, heatmap_data
from negmerge.reporting.pool_size import draw_pool_size, pool_size_data
from negmerge.reporting.signs import draw_signs, signs_data
from negmerge.reporting.spread import draw_spread, spread_data
from negmerge.reporting.tradeoff import draw_tradeoff, tradeoff_data

# By kind: from the figure's definition and its records to numbers, and from these to a picture.
OF_SWEEPS = {"tradeoff": (tradeoff_data, draw_tradeoff), "spread": (spread_data, draw_spread)}
OF_SCORES = {"models": (pool_size_data, draw_pool_size), "gap": (gap_data, draw_gap)}
OF_OWN = ("gradcam", "signs")


def draw(
    figure: Mapping,
    sweeps: pd.DataFrame | None = None,
    selected: Sequence[Mapping] = (),
    scores: Sequence[Mapping] = (),
    heatmaps: Sequence[Heatmaps] = (),
    coordinates: Sequence[Mapping] = (),
) -> tuple[Figure, pd.DataFrame]:
    """Draw a figure.

    Args:
        figure: the definition of the figure, as in a study.
        sweeps: from `sweeps.read_sweeps`, for kinds that draw sweeps; those of other experiments
            are left out.
        selected: the choices of the methods, likewise.
        scores: for kinds that draw scores.
        heatmaps: for the kind `gradcam`, those that the rule of this name made for the figure.
        coordinates: for the kind `signs`, what the rule `signs` noted for the figure.

    Returns:
        The figure, and the numbers in it, accuracies and probabilities in percent.

    Raises:
        UserError: an unknown kind, or no record of the figure's experiments.
    """
    kind, experiments = figure["kind"], figure["experiments"]
    if kind in OF_OWN:
        with style.settings():
            if kind == "gradcam":
                return draw_heatmaps(figure, heatmaps), heatmap_data(figure, heatmaps)
            data = signs_data(figure, coordinates)
            return draw_signs(figure, data, coordinates), data
    if kind in OF_SCORES:
        collect, plot = OF_SCORES[kind]
        shown = [score for score in scores if score["experiment"] in experiments]
        if not shown:
            raise UserError(f"figure {figure['title']!r}: no scores of {experiments}")
        data = collect(figure, shown)
    elif kind in OF_SWEEPS:
        collect, plot = OF_SWEEPS[kind]
        if sweeps is None or sweeps[sweeps["experiment"].isin(experiments)].empty:
            raise UserError(f"figure {figure['title']!r}: no sweeps of {experiments}")
        data = collect(figure, sweeps[sweeps["experiment"].isin(experiments)], selected)
    else:
        raise UserError(unknown("kind of figure", kind, {*OF_SWEEPS, *OF_SCORES, *OF_OWN}))
    with style.settings():
        return plot(figure, data), data
