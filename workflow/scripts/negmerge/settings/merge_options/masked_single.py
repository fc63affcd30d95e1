"""The options of Masked single."""

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Settings


class Options(Settings):
    """The option of the masked single vector."""

    single: PositiveInt = Field(
        1,
        description="The place of the vector whose numbers are kept, from 1. A study takes the one "
        "that `task-arithmetic` chose, and leaves this out.",
    )
