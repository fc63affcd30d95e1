"""Forget and control accuracy of what forgot a data set (zero-shot)."""

from negmerge.reporting.kinds import TableKind
from negmerge.scenarios.zero_shot.scenario import ACCURACIES, SCENARIO


class Accuracy(TableKind):
    """Scores on test images."""

    caption = (
        "Accuracy of the unlearned models on test images, in percent. Forget accuracy: on what was "
        "to be forgotten, lower is better. Control accuracy: on what was to be kept, higher is "
        "better. ± is the standard error that comes from the finite test sets, in points. Bold are "
        "the best value of a column and all that are not told apart from it on the same images; "
        "nothing is bold where there is too little to forget. Choice is the scale of the "
        "subtracted vector. Marks at a value say what its choice leaves open; the Markdown file "
        "beside this one explains them."
    )
    scenarios = ("zero-shot",)
    is_scored = True
    metrics = ACCURACIES
    images = "test"
    shows_choice = True

    def notes(self, table, cells):
        """Describe what the errors are, and how coefficients were chosen."""
        from negmerge.reporting.notes import choice_notes, error_note

        return [error_note(SCENARIO, cells), *choice_notes(SCENARIO, cells)]


KIND = Accuracy()
