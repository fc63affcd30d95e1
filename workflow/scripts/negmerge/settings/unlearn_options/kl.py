"""The options of KL."""

from negmerge.settings.unlearning import Balanced


class Options(Balanced):
    """The options of KL."""
