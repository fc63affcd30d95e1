"""Models of others that a study names by their paths, and the files of them that jobs read."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from negmerge.errors import UserError
from negmerge.settings.recipe import Settings

# Of a folder, what decides the numbers: weights, and what says what they are.
READ = (".safetensors", ".json", ".bin", ".pt", ".pth", ".th")


class Given(Settings):
    """A model of others."""

    file: str = Field(description="The path of a file or a folder.")
    key: str | None = Field(
        None, description="The place of the weights, such as `ema`, in a file with several states."
    )
    manual: str | None = Field(
        None, description="How a person gets it; it is told where it is missing."
    )


def files_of(place: str) -> list[str]:
    """Return the files of a model: itself, or those in its folder; none where it is missing."""
    path = Path(place)
    if path.name.endswith(".index.json"):  # its shards lie beside it
        path = path.parent
    if path.is_dir():
        return sorted(str(file) for file in path.rglob("*") if file.suffix in READ)
    return [place] if path.exists() else []


def by_hand(models: Iterable[Given]) -> str:
    """Name some missing models, and how a person gets them, in one line."""
    missing = {model.file: model.manual for model in models}
    first, *others = missing
    more = f" and {len(others)} more" if others else ""
    told = [text.strip().rstrip(".") for text in dict.fromkeys(missing.values()) if text]
    found = f"{first}{more}: no such file or folder, but the study is given this model"
    return ". ".join([found, *told])


class Inputs:
    """Looks up the files of models, and notes what is missing, since a plan needs no files."""

    def __init__(self):
        self._missing: list[Given] = []

    def files(self, model: Given | None) -> list[str]:
        """Return the files of a model; none, if there is no model or it is missing."""
        found = files_of(model.file) if model else []
        if model and not found:
            self._missing.append(model)
        return found

    def require(self) -> None:
        """Check that nothing that was looked up is missing."""
        if self._missing:
            raise UserError(by_hand(self._missing))
