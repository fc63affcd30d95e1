"""The options of Boundary Expanding."""

from negmerge.settings.unlearning import Boundary


class Options(Boundary):
    """The options of Boundary Expanding."""
