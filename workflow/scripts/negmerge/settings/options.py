"""What all methods have in common: a title, a reference, and options that are checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, ValidationError

from negmerge.errors import UserError, unknown
from negmerge.settings.recipe import Settings
from negmerge.settings.validation import explain

Value = bool | int | float | str
Seed = Annotated[int, Field(ge=0, lt=2**32)]


@dataclass(frozen=True, kw_only=True)
class Described:
    """A method, as far as a study must know it: what tables call it, its source and its options."""

    title: str
    reference: str
    options: type[Settings] = Settings

    def check(self, where: str, options: Mapping[str, object]) -> Settings:
        """Check options, and fill in the defaults of the others; errors begin with `where`."""
        return checked(where, self.options, options)


def checked(where: str, model: type[Settings], options: Mapping[str, object]) -> Settings:
    """Do what `Described.check` does, for options that are none of a method."""
    for name in options:
        if name not in model.model_fields:
            raise UserError(f"{where}: {unknown('option', name, model.model_fields)}")
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        finding = explain(error, model).removeprefix("the file: ")
        raise UserError(f"{where}: {finding}") from error
