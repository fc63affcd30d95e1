"""Where on images to forget the score of their class rests, for several models (Figure 3)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from safetensors import SafetensorError, safe_open

from negmerge.errors import UserError

COLOURS = "inferno"
# Inches: an image's side, the room for text below it, beside the first one, and above a block.
CELL, GAP, LEFT, TITLE = 1.0, 0.22, 1.5, 0.5


@dataclass(frozen=True)
class Heatmaps:
    """The maps of one task, as the rule `gradcam` writes them.

    Attributes:
        origin: `experiment`, `task`, `methods`, `layer`, and of each image its `places` among the
            images to forget and its `classes`.
        images: (images, 3, size, size) uint8.
        maps: (methods, images, rows, columns) float32, from 0.
        probability: (methods, images) float32, that of the true class.
    """

    origin: Mapping
    images: np.ndarray
    maps: np.ndarray
    probability: np.ndarray


def read_heatmaps(path: str | Path) -> Heatmaps:
    """Read the maps of one task.

    Raises:
        UserError: the file holds none.
    """
    try:
        with safe_open(str(path), framework="numpy") as file:
            origin = json.loads(file.metadata()["negmerge"])
            names = ("images", "maps", "probability")
            return Heatmaps(origin, *(file.get_tensor(name) for name in names))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: no heat maps ({error}); delete it and run again") from error


def heatmap_data(figure: Mapping, found: Sequence[Heatmaps]) -> pd.DataFrame:
    """List what the figure shows, a row for each place of each map.

    `image` is the image's place among those to forget, `probability` that of the true class in
    percent, `row` and `column` are the place in the map, from the upper left corner.
    """
    frames = []
    for one in found:
        labels = {name: one.origin[name] for name in ("experiment", "task", "layer")}
        for (method, image), probability in np.ndenumerate(one.probability):
            name, values = one.origin["methods"][method], one.maps[method, image]
            row, column = np.indices(values.shape).reshape(2, -1)
            shown = {"image": one.origin["places"][image], "class": one.origin["classes"][image]}
            shown |= {"method": name, "label": figure["methods"][name]}
            shown |= {"probability": round(100 * float(probability), 6)}
            numbers = {"row": row, "column": column, "value": values.ravel()}
            frames.append(pd.DataFrame(labels | shown | numbers))
    return pd.concat(frames, ignore_index=True)


def draw_heatmaps(figure: Mapping, found: Sequence[Heatmaps]) -> Figure:
    """Draw a block for each task: the images in a row, and the maps of each method below.

    The maps of one image share their colours, from 0 to the largest value among them.
    """
    heights = [TITLE + (CELL + GAP) * (1 + len(one.maps)) for one in found]
    width = LEFT + (CELL + GAP) * max(len(one.images) for one in found)
    canvas = Figure(figsize=(width, sum(heights)))
    top = sum(heights)
    for one, height in zip(found, heights, strict=True):
        _draw_task(canvas, top, figure, one)
        top -= height
    return canvas


def _draw_task(canvas: Figure, top: float, figure: Mapping, one: Heatmaps) -> None:
    """Draw the block of a task; `top` is its upper edge in inches above the lower edge."""
    origin, (width, height) = one.origin, canvas.get_size_inches()
    title = f"{origin['experiment']}: {origin['task']}"
    canvas.text(0.5, (top - 0.1) / height, title, ha="center", va="top", fontsize=10)
    labels = ["image", *(figure["methods"][name] for name in origin["methods"])]
    for number, image in enumerate(one.images):
        picture = image.transpose(1, 2, 0)
        most = float(one.maps[:, number].max()) or 1.0
        for row, label in enumerate(labels):
            left = LEFT + (CELL + GAP) * number
            lower = top - TITLE - (CELL + GAP) * row - CELL
            axes = canvas.add_axes((left / width, lower / height, CELL / width, CELL / height))
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if number == 0:
                axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
            if row == 0:
                axes.imshow(picture)
                axes.set_title(origin["classes"][number], fontsize=8, pad=3)
            else:
                _overlay(axes, picture, one.maps[row - 1, number] / most)
                probability = one.probability[row - 1, number]
                axes.set_xlabel(f"{100 * probability:.0f} %", fontsize=8, labelpad=2)


def _overlay(axes: Axes, picture: np.ndarray, share: np.ndarray) -> None:
    """Draw a map, of values from 0 to 1, over its image in grey."""
    height, width = picture.shape[:2]
    axes.imshow(picture.mean(axis=2), cmap="gray", vmin=0, vmax=255)
    axes.imshow(
        share, cmap=COLOURS, vmin=0, vmax=1, alpha=0.65, interpolation="bilinear",
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )  # fmt: skip
