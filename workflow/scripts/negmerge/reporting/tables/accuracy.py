"""Forget accuracy, and that of what is kept, where they are to be low and high (zero-shot)."""

from negmerge.reporting.kinds import TableKind


class Accuracy(TableKind):
    """Scores on test images."""

    caption = (
        "Accuracy of the unlearned models on test images, in percent: on what was to be forgotten, "
        "and on what was to be kept. The choice is the scale of the subtracted vector."
    )
    is_scored = True
    shows_choice = True

    def check(self, experiments, methods):
        for name, experiment in experiments.items():
            scenario = experiment.SCENARIO
            if scenario.aims_at_retrain or not scenario.is_counted:
                raise ValueError(
                    f"{name!r} is of scenario {scenario.name}, which has a kind of table of its own"
                )

    def metrics_of(self, scenario, measured):
        return scenario.metrics


KIND = Accuracy()
