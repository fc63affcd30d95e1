"""The options of GradDiff."""

from negmerge.settings.unlearning import Balanced


class Options(Balanced):
    """The options of GradDiff."""

    scenarios = ("classifier", "language")
