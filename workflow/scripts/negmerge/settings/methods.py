"""The methods that an experiment uses; `negmerge-4` is a further use of `negmerge`."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, PositiveInt, model_validator

from negmerge import plugins
from negmerge.errors import UserError, unknown
from negmerge.seeds import derive_seed
from negmerge.settings.checks import Described, Value
from negmerge.settings.recipe import Settings, advanced

# Where each method of a kind is a file.
FOLDERS = {"merge": plugins.MERGE_METHODS, "unlearn": plugins.UNLEARN_METHODS}

# The model that never saw what is forgotten: the reference of the classifier scenario.
RETRAIN = "retrain"
# The best single vector of the pool; and the merge that keeps of it what NegMerge's mask leaves.
SINGLE = "task-arithmetic"
MASKED = "masked-single"
# The kinds of methods that take vectors of the pool, and choose a coefficient.
CHOSEN = ("single", "merge", "greedy")
# What a method moves along that takes all vectors of the pool, not what a method makes of them.
POOL = "pool"
# It adds what items to retain teach an earlier state; what so names the vector of that, after which
# comes the point whose recipe tunes it.
MSA = "msa"
RETAIN_OF = "retain-of-"
# It minds what earlier requests to forget have subtracted.
NO_CONFLICT = "no-conflict"


class Greedy(Settings):
    """The options of the method `greedy`; see `selection.greedy`."""

    strict: bool = advanced(True, description="Only a lower forget accuracy keeps a vector.")
    search_each_step: bool = advanced(
        True,
        description="Search the coefficient anew in each trial; false: take that of the first "
        "vector.",
    )


@dataclass(frozen=True, kw_only=True)
class Special(Described):
    """A method without a file of its own, since rules of their own make its model."""

    kind: str  # see `known`
    explanation: str


SPECIAL = {
    "pretrained": Special(
        kind="base",
        title="Pre-trained",
        reference="Radford et al., CLIP (ICML 2021)",
        explanation="The base of the scenario zero-shot as it is.",
    ),
    "original": Special(
        kind="base",
        title="Original",
        reference="Kim et al., NegMerge (ICML 2025), Table 2",
        explanation="The base of the scenario classifier as it is: trained on all images.",
    ),
    RETRAIN: Special(
        kind="retrain",
        title="Retrain",
        reference="Kim et al., NegMerge (ICML 2025), Table 2",
        explanation="A classifier that is trained anew, without what is to be forgotten.",
    ),
    SINGLE: Special(
        kind="single",
        title="Task Arithmetic (single best)",
        reference="Ilharco et al., Editing Models with Task Arithmetic (ICLR 2023)",
        explanation="The best single vector of the pool, by what chooses coefficients.",
    ),
    "greedy": Special(
        kind="greedy",
        title="Greedy Merge",
        reference="Wortsman et al., Model soups (ICML 2022), the greedy soup",
        explanation="The mean of vectors that are added one after the other, the best first, and\n"
        "stay if the forget accuracy falls. It measures images, which other merges do not.",
        options=Greedy,
    ),
    "mean-best": Special(
        kind="greedy",
        title="Mean of the best",
        reference="this project, a control experiment",
        explanation="The mean of the 1, 2, 3, 5 or 10 vectors with the lowest forget accuracy, or\n"
        "of all: as many as forget most. It measures images, which other merges do not. The mean\n"
        "of 1 is the best single vector, that of all the uniform merge.",
    ),
}
BASES = tuple(name for name, method in SPECIAL.items() if method.kind == "base")


class Drawn(Settings):
    """A random part of the pool, or several; a draw is the same for all methods that name it."""

    random: PositiveInt = Field(
        description="How many points a part has; a larger part holds the smaller ones."
    )
    draws: PositiveInt = Field(
        1,
        description="How many parts to draw; the method is then used as `NAME-1`, `NAME-2` and so "
        "on.",
    )
    draw: PositiveInt = Field(1, description="Which part it is, if there is only one.")

    def of(self, points: Sequence[str]) -> list[str]:
        """Return the points of the part, sorted by name."""
        if self.random > len(points):
            raise UserError(f"random is {self.random}, but the pool has {len(points)} points")
        return sorted(sorted(points, key=lambda p: derive_seed(self.draw, p))[: self.random])


class Use(Settings):
    """How an experiment uses a method; all other keys are options of the method."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Value] = Field(init=False)

    points: list[str] | Drawn = Field(
        [],
        description="For merges: the points to merge; `*` stands for any text. Empty: all. Or a "
        "random part of them: `{random: 5, draws: 3}`.",
    )
    grid: dict[str, Annotated[list[Value], Field(min_length=1)]] = Field(
        {},
        description="For methods that train, and for merges but `greedy`: options to search, with "
        "their values in any order. Each combination is trained, and then some between the chosen "
        "one and its neighbours, see `selection.halvings`; or it is merged, and the criterion "
        "chooses among all of them at all coefficients.",
    )
    along: str | None = Field(
        None,
        description="For methods that move along vectors, and needed for them: the method of the "
        "experiment that makes or chooses the vector, or `pool`, all vectors of `points`.",
    )
    search: Literal["full", "exact-pruned"] | None = advanced(
        None, description="A search in place of the experiment's `selection.search`."
    )

    @model_validator(mode="after")
    def _one_value_for_an_option(self):
        for option in self.grid:
            if option in self.options:
                raise ValueError(f"grid: {option!r} has a value of its own too; expected one")
        return self

    @property
    def options(self) -> dict[str, Value]:
        return dict(self.__pydantic_extra__ or {})


@cache
def known() -> dict[str, str]:
    """List the methods by name with their kinds: base, retrain, single, greedy, merge, unlearn."""
    return {
        **{name: method.kind for name, method in SPECIAL.items()},
        **{name: kind for kind, folder in FOLDERS.items() for name in plugins.names(folder)},
    }


def is_known(name: str) -> bool:
    """Whether a name, or the beginning of it up to a `-`, is that of a method."""
    return bool(_fitting(name))


@cache
def base_name(name: str) -> str:
    """Return the method that a name stands for: `negmerge` for `negmerge-4`."""
    fitting = _fitting(name)
    if not fitting:
        raise UserError(unknown("method", name, known()))
    return max(fitting, key=len)


def _fitting(name: str) -> list[str]:
    # The vectors of a merge with a grid are called `ties.density0.2`.
    name, *_ = name.split(".")
    return [method for method in known() if name == method or name.startswith(f"{method}-")]


def kind(name: str) -> str:
    """Return the kind of the method that a name stands for; see `known`."""
    return known()[base_name(name)]


def title(name: str) -> str:
    """Return what tables call a use of a method: `NegMerge (4)` for `negmerge-4`."""
    rest = name.removeprefix(base_name(name)).removeprefix("-")
    words = definition(name).title
    return f"{words} ({rest})" if rest else words


def special_options(name: str, options: Mapping[str, Value]) -> dict[str, bool]:
    """Fill in the defaults of a use of a method without a file of its own."""
    return SPECIAL[base_name(name)].check(name, options).model_dump()


def check(name: str, use: Use) -> None:
    """Check all of a use of a method but the options for which `check_options` is there."""
    method, what = base_name(name), kind(name)
    where = f"methods.{name}"
    if "." in name:
        raise UserError(f"{where}: the name of a method's use must not have a '.' in it")
    if what in ("base", "retrain") and name != method:
        raise UserError(f"{where}: there is only one {method}, expected the name {method!r}")
    if use.points and what not in CHOSEN and use.along != POOL:
        raise UserError(f"{where}: `points` goes with merges, and only with them")
    if use.grid and what not in FOLDERS:
        raise UserError(f"{where}: `grid` goes with methods that train and merges but greedy")
    if method == MASKED and "single" in use.options:
        raise UserError(f"{where}: leave `single` out of a study; {SINGLE} chooses it")
    if method in SPECIAL:
        SPECIAL[method].check(where, use.options)


def check_options(where: str, name: str, use: Use, scenario: str) -> None:
    """Check the options of methods that are a file each; errors begin with `where`."""
    if not serves(name, scenario):
        served = " and ".join(definition(name).options.scenarios)
        raise UserError(f"{where}: it is for {served}, not for {scenario}")
    takes = definition(name).options.vectors if kind(name) == "unlearn" else "none"
    if (takes == "none") == (use.along is not None) or (takes == "one" and use.along == POOL):
        expected = {
            "none": "none",
            "one": f"a merge or {SINGLE}",
            "any": f"a merge, {SINGLE} or {POOL}",
        }
        raise UserError(f"{where}: along is {use.along}, expected {expected[takes]}")
    for options in combinations(use) if kind(name) in FOLDERS else ():
        definition(name).check(where, options)


def serves(name: str, scenario: str) -> bool:
    """Whether a method makes models of a scenario forget, as far as methods that train differ."""
    return kind(name) != "unlearn" or scenario in definition(name).options.scenarios


def definition(name: str) -> Described:
    """Return a method by the name of a use; the first that is a file loads torch."""
    method = base_name(name)
    if method in SPECIAL:
        return SPECIAL[method]
    return plugins.load(FOLDERS[kind(name)], method).METHOD


def combinations(use: Use) -> list[dict[str, Value]]:
    """List the options with which a method is tried: all combinations of its grid."""
    values = itertools.product(*use.grid.values())
    return [use.options | dict(zip(use.grid, point, strict=True)) for point in values]


def merged(name: str, use: Use) -> dict[str, dict[str, Value]]:
    """Name the vectors of a merge, one for each combination of its grid, with their options."""
    named = {}
    for options in combinations(use):
        searched = "-".join(f"{option}{options[option]}" for option in use.grid)
        named[f"{name}.{searched}" if searched else name] = options
    return named
