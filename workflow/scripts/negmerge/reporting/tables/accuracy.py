"""Forget accuracy, and that of what is kept, where they are to be low and high (zero-shot)."""

from negmerge.reporting.kinds import TableKind, scenarios_of


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
    is_scored = True
    images = "test"
    shows_choice = True

    def check(self, experiments, methods):
        """Check that a low forget accuracy is what the experiments aim at."""
        for name, experiment in experiments.items():
            scenario = experiment.SCENARIO
            if scenario.aims_at_retrain or not scenario.is_counted:
                raise ValueError(
                    f"{name!r} is of scenario {scenario.name}, which has a kind of table of its own"
                )

    def metrics_of(self, scenario, measured):
        """List the accuracies of the scenario."""
        return scenario.metrics

    def notes(self, table, cells):
        """Describe what the errors are, and how coefficients were chosen."""
        from negmerge.reporting.notes import choice_notes, error_note

        (scenario,) = scenarios_of(table)
        return [error_note(scenario, cells), *choice_notes(scenario, cells)]


KIND = Accuracy()
