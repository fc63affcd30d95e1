"""A search for a coefficient as a figure: both scores along the grid, and the choice."""

from pathlib import Path

from negmerge.reporting import style
from negmerge.standalone.coefficients import Choice


def draw(choice: Choice, path: Path) -> None:
    """Draw what was measured into a file that ends in `.png` or `.pdf`."""
    with style.settings():
        figure = style.canvas(6, 3.8)
        axes = figure.subplots()
        coefficients = [one.coefficient for one in choice.measurements]
        for score, colour, marker in zip(
            ("forget", "control"), style.COLOURS, style.MARKERS, strict=False
        ):
            values = [getattr(one, score) for one in choice.measurements]
            axes.plot(coefficients, values, color=colour, marker=marker, ms=4, lw=1.2, label=score)
        least = choice.keep * choice.measurements[0].control
        axes.axhline(
            least,
            color=style.COLOURS[1],
            ls="--",
            lw=1,
            label=f"control to keep: {100 * choice.keep:g} %",
        )
        axes.axvline(
            choice.coefficient,
            color=style.GREY,
            ls=":",
            lw=1.5,
            label=f"chosen: {choice.coefficient:g}",
        )
        axes.set(xlabel="coefficient", ylabel="score (larger: better remembered)")
        axes.legend(fontsize=8)
        style.save(figure, path)
