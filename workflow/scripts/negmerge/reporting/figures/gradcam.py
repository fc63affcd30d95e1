"""Which places of images to forget support their class's score, for several models (Figure 3)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from negmerge.errors import UserError
from negmerge.reporting import style
from negmerge.reporting.kinds import FigureKind
from negmerge.settings.methods import BASES

if TYPE_CHECKING:
    import numpy as np

COLUMNS = (
    "experiment", "task", "layer", "image", "class", "method", "label", "probability", "row",
    "column", "value", "of_base",
)  # fmt: skip
# Inches: an image's side, the room for text below it, beside the first one, and above a block.
CELL, GAP, LEFT, TITLE = 1.0, 0.22, 1.5, 0.5


class GradCam(FigureKind):
    """A block for each task: the images in a row, and the maps of each method below."""

    caption = (
        "Grad-CAM at the network's last stage: the brighter, the more the score of the image's "
        "class depends on the place. The maps of one image share their colours; below each is the "
        "predicted probability of the class, and below a row's name the sum of its maps, as a "
        "share of the base's. The images are the first that the base classifies "
        "rightly in each of the first classes; a class in which none is right gives its first "
        "image, and comes last."
    )
    scenarios = ("classifier", "zero-shot")

    def check(self, experiments, methods):
        """Check that the logits are made of the activations that Grad-CAM weighs."""
        for name, experiment in experiments.items():
            if getattr(experiment, "mode", "standard") == "linear":
                raise ValueError(
                    f"{name!r} is of mode linear, whose logits are not made of the activations "
                    "that Grad-CAM weighs; expected mode standard"
                )

    def records(self, experiment, folder, methods):
        return {"gradcam": [f"{folder}/gradcam/{{figure}}.safetensors"]}

    def draw(self, figure, gradcam):
        """Draw the blocks one below the other, and list each place of each map."""
        import pandas as pd

        tasks = [read_heatmaps(path) for path in gradcam]
        heights = [TITLE + (CELL + GAP) * (1 + len(task.maps)) for task in tasks]
        width, top = LEFT + (CELL + GAP) * max(len(task.images) for task in tasks), sum(heights)
        canvas = style.canvas(width, top, layout=None)
        for task, height in zip(tasks, heights, strict=True):
            _draw_task(canvas, top, figure["methods"], task)
            top -= height
        frames = [frame for task in tasks for frame in _frames(figure["methods"], task)]
        # Without a model there is no map.
        empty = pd.DataFrame(columns=list(COLUMNS))
        return canvas, pd.concat(frames, ignore_index=True) if frames else empty


@dataclass(frozen=True)
class Heatmaps:
    """The maps of one task, as the rule `gradcam` writes them."""

    # `experiment`, `task`, `methods`, `layer`, and of each image its `places` among the images to
    # forget and its `classes`.
    origin: Mapping
    images: np.ndarray  # (images, 3, size, size) uint8
    maps: np.ndarray  # (methods, images, rows, columns) float32, from 0
    probability: np.ndarray  # (methods, images) float32, that of the true class


def read_heatmaps(path: str | Path) -> Heatmaps:
    """Read the maps of one task."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            origin = json.loads(file.metadata()["negmerge"])
            names = ("images", "maps", "probability")
            return Heatmaps(origin, *(file.get_tensor(name) for name in names))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: no heat maps ({error}); delete it and run again") from error


def _frames(labels: Mapping[str, str], task: Heatmaps):
    import numpy as np
    import pandas as pd

    place = {key: task.origin[key] for key in ("experiment", "task", "layer")}
    ratios = of_base(task)
    for (method, image), probability in np.ndenumerate(task.probability):
        name, values = task.origin["methods"][method], task.maps[method, image]
        row, column = np.indices(values.shape).reshape(2, -1)
        shown = {"image": task.origin["places"][image], "class": task.origin["classes"][image]}
        shown |= {"method": name, "label": labels[name]}
        shown |= {"probability": round(100 * float(probability), 6)}
        shown |= {"row": row, "column": column, "value": values.ravel(), "of_base": ratios[method]}
        yield pd.DataFrame(place | shown)


def of_base(task: Heatmaps) -> list[float]:
    """Return the sum of each method's maps, divided by that of the base; NaN without one."""
    sums = dict(zip(task.origin["methods"], task.maps.sum(axis=(1, 2, 3)).tolist(), strict=True))
    base = next((sums[name] for name in BASES if sums.get(name)), math.nan)
    return [round(total / base, 6) for total in sums.values()]


def _draw_task(canvas, top: float, labels: Mapping[str, str], task: Heatmaps) -> None:
    """Draw the block of a task; `top` is its upper edge in inches above the lower edge."""
    origin, (width, height) = task.origin, canvas.get_size_inches()
    title = f"{origin['experiment']}: {origin['task']}"
    canvas.text(0.5, (top - 0.1) / height, title, ha="center", va="top", fontsize=10)
    names = zip(origin["methods"], of_base(task), strict=True)
    rows = ["image", *(labels[name] + f"\n{ratio:.2f}" * (ratio == ratio) for name, ratio in names)]
    for number, image in enumerate(task.images):
        picture = image.transpose(1, 2, 0)
        high, wide = picture.shape[:2]
        most = float(task.maps[:, number].max(initial=0.0)) or 1.0
        for row, label in enumerate(rows):
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
                continue
            axes.imshow(picture.mean(axis=2), cmap="gray", vmin=0, vmax=255)
            axes.imshow(
                task.maps[row - 1, number] / most, cmap="inferno", vmin=0, vmax=1, alpha=0.65,
                interpolation="bilinear", extent=(-0.5, wide - 0.5, high - 0.5, -0.5),
            )  # fmt: skip
            probability = task.probability[row - 1, number]
            axes.set_xlabel(f"{100 * probability:.0f} %", fontsize=8, labelpad=2)


KIND = GradCam()
