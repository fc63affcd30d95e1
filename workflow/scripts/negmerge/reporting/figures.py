"""Figures of a study, each with the numbers that it shows."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from negmerge.errors import UserError, unknown
from negmerge.reporting import style
from negmerge.reporting.gap_parts import draw_gap, gap_data
from negmerge.reporting.pool_size import draw_pool_size, pool_size_data
from negmerge.reporting.spread import draw_spread, spread_data
from negmerge.reporting.tradeoff import draw_tradeoff, tradeoff_data

# By kind: from the figure's definition and its records to numbers, and from these to a picture.
OF_SWEEPS = {"tradeoff": (tradeoff_data, draw_tradeoff), "spread": (spread_data, draw_spread)}
OF_SCORES = {"models": (pool_size_data, draw_pool_size), "gap": (gap_data, draw_gap)}


def draw(
    figure: Mapping,
    sweeps: pd.DataFrame | None = None,
    selected: Sequence[Mapping] = (),
    scores: Sequence[Mapping] = (),
) -> tuple[Figure, pd.DataFrame]:
    """Draw a figure.

    Args:
        figure: the definition of the figure, as in a study.
        sweeps: from `sweeps.read_sweeps`, for kinds that draw sweeps; those of other experiments
            are left out.
        selected: the choices of the methods, likewise.
        scores: for kinds that draw scores.

    Returns:
        The figure, and the numbers in it, accuracies in percent.

    Raises:
        UserError: an unknown kind, or no record of the figure's experiments.
    """
    kind, experiments = figure["kind"], figure["experiments"]
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
        raise UserError(unknown("kind of figure", kind, {**OF_SWEEPS, **OF_SCORES}))
    with style.settings():
        return plot(figure, data), data
