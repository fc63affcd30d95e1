"""Figures of a study, each with the numbers that it shows."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from negmerge.errors import UserError, unknown
from negmerge.reporting import style
from negmerge.reporting.spread import draw_spread, spread_data
from negmerge.reporting.tradeoff import draw_tradeoff, tradeoff_data

KINDS = {"tradeoff": (tradeoff_data, draw_tradeoff), "spread": (spread_data, draw_spread)}


def draw(
    figure: Mapping, sweeps: pd.DataFrame, selected: Sequence[Mapping]
) -> tuple[Figure, pd.DataFrame]:
    """Draw a figure.

    Args:
        figure: the definition of the figure, as in a study.
        sweeps: from `sweeps.read_sweeps`; those of other experiments are left out.
        selected: the choices of the methods.

    Returns:
        The figure, and the numbers in it, accuracies in percent.

    Raises:
        UserError: an unknown kind, or no sweep or choice of the figure's experiments.
    """
    if figure["kind"] not in KINDS:
        raise UserError(unknown("kind of figure", figure["kind"], KINDS))
    sweeps = sweeps[sweeps["experiment"].isin(figure["experiments"])]
    if sweeps.empty:
        raise UserError(f"figure {figure['title']!r}: no sweeps of {figure['experiments']}")
    collect, plot = KINDS[figure["kind"]]
    data = collect(figure, sweeps, selected)
    with style.settings():
        return plot(figure, data), data
