"""A scenario as settings, rules and reports know it, without torch; jobs have `scenarios.task`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from negmerge.checkpoints.divergence import is_nothing_left
from negmerge.errors import UserError
from negmerge.seeds import first_of, seed_number

# What each record is of.
LABELS = ("experiment", "task", "method")


def place_of(record: Mapping) -> tuple[str, str, str]:
    """Return the experiment, task and method of a record."""
    return tuple(record[label] for label in LABELS)


@dataclass(frozen=True)
class Number:
    """One number of one record, with its variance and items; None: there is none."""

    value: float | None
    variance: float | None = None
    images: int | None = None


# Reads a metric from a record; the second argument is Retrain's record, if there is one.
Reader = Callable[[Mapping, Mapping | None], Number]


@dataclass(frozen=True)
class Metric:
    """What a cell of a table measures."""

    name: str  # as in the files of published cells
    label: str  # for people
    unit: str  # `%`, `points` or another; nothing for a count
    better: str  # `lower`, `higher`, `reference` (close to that of Retrain), or nothing
    of: Reader
    # Gives what replaces the mean and standard deviation over records, from these and those of
    # Retrain.
    over: Callable[[Sequence[Mapping], Sequence[Mapping] | None], Mapping] | None = None
    printed: bool = True  # whether people see it; otherwise it is only in the CSV file
    # How its numbers are printed; None: with two decimals, counts as whole numbers.
    spell: Callable[[float | None], str] | None = None
    optional: bool = False  # whether nothing is printed where no row has a value
    # The metrics whose mean distance to Retrain it is, if it is one.
    parts: tuple[str, ...] = ()

    def measure(self, record: Mapping, reference: Mapping | None = None) -> Number:
        """Read it from a record."""
        if is_nothing_left(record):
            return Number(None)
        try:
            return self.of(record, reference)
        except (KeyError, TypeError) as error:
            raise UserError(
                f"record of {'/'.join(map(str, place_of(record)))}: the {self.label} cannot be "
                f"read ({error!r}); delete the file and run again"
            ) from error


def read(key: str) -> Reader:
    """Return a metric's function that reads a number as it is in a record."""
    return lambda record, _: Number(record[key])


def accuracy(role: str) -> Reader:
    """Return a metric's function that reads the share of right answers on the items of a role."""

    def of(record: Mapping, _: Mapping | None) -> Number:
        correct, n = record[role]["correct"], record[role]["n"]
        if not 0 <= correct <= n or n == 0:
            place = "/".join(place_of(record))
            raise UserError(f"score of {place}: {role}: {correct} right of {n} images")
        return Number(100 * correct / n, share_variance(correct / n, n), n)

    return of


def share_variance(share: float, n: int) -> float:
    """Return the variance of a share of n items, in squared percentage points."""
    from negmerge.evaluation.uncertainty import binomial_error

    return (100 * binomial_error(share, n)) ** 2


@dataclass(frozen=True)
class Scenario:
    """What is alike in all experiments of a scenario."""

    name: str
    # The roles that are scored: `forget`, then the one whose score must be kept, then others.
    roles: tuple[str, ...]
    # The kinds of methods that it has, and the method that leaves the model as it is.
    kinds: tuple[str, ...]
    base: str
    # How a coefficient is chosen: each criterion in words, with `{keep}` for a share.
    criteria: Mapping[str, str]
    # What tables of scores show; those by which rows are compared item by item (none given: all);
    # and the one in a report's first lines.
    metrics: tuple[Metric, ...]
    headline: str
    # What tells the items of a role apart, of `experiment`, `seed` and `task`: all tasks may share
    # a control set, all trials the test images, and all seeds the questions.
    same_items: Mapping[str, tuple[str, ...]]
    # The model that knows what is forgotten, and the one that does not; and what it means to know
    # it, with `{share}` in percent.
    knows: tuple[str, str]
    says: str
    error: str  # what ± is, in a sentence without its full stop
    story: str  # what is forgotten, and what good unlearning is
    # What an experiment forgets and keeps, from its settings.
    describe: Callable[[Mapping], tuple[str, str]]
    compared: tuple[str, ...] = ()
    aims_at_retrain: bool = False  # whether Retrain is what good unlearning ends close to
    tasks_repeat: bool = False  # whether the tasks of an experiment are trials of the same thing
    items: str = "images"  # what is scored
    is_counted: bool = True  # whether each item is right or wrong, and not something between

    def groups(
        self, metric: str, places: Sequence[tuple[str, str]], sizes: Sequence[int | None]
    ) -> list[list[int]]:
        """Group the numbers of places whose scores by a metric are on the same items, so many."""
        # What has no entry of its own is measured where the forget items are.
        parts = self.same_items.get(metric, self.same_items["forget"])
        alike: dict[tuple, list[int]] = {}
        for number, ((name, task), size) in enumerate(zip(places, sizes, strict=True)):
            known = {"experiment": first_of(name), "seed": seed_number(name), "task": task}
            alike.setdefault((size, *map(known.get, parts)), []).append(number)
        return list(alike.values())

    @property
    def compared_metrics(self) -> tuple[Metric, ...]:
        names = self.compared or [metric.name for metric in self.metrics]
        return tuple(metric for metric in self.metrics if metric.name in names)

    @property
    def headline_metric(self) -> Metric:
        return next(metric for metric in self.metrics if metric.name == self.headline)

    @property
    def has_retrain(self) -> bool:
        """Whether there is a model, Retrain, that never saw what is forgotten."""
        return "retrain" in self.kinds

    @property
    def needed(self) -> tuple[str, ...]:
        """The methods without which it is not known how much there is to forget."""
        return (self.base,) if self.is_counted else (self.base, "retrain")


# The standard error of accuracies; p (1 - p) / n is the variance of a share p of n images.
ACCURACY_ERROR = (
    "±: standard error from the finite number of images, sqrt(Σ p (1 - p) / n) / k for the mean of "
    "k accuracies p on n images each, in percentage points. It leaves out the spread between "
    "training runs"
)
