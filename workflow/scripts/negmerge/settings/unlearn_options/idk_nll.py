"""The options of IdkNLL."""

from negmerge.settings.unlearning import Balanced


class Options(Balanced):
    """The options of IdkNLL."""

    refusals = True
