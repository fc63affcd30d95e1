"""The merge methods by name: one file in `methods/` each, imported when it is asked for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from negmerge import plugins
from negmerge.errors import UserError, unknown

Value = bool | float | str


@dataclass(frozen=True)
class Option:
    """One option of a merge method.

    Attributes:
        default: the value where none is given; True or False where only these are valid.
        meaning: one sentence for people.
        lowest: the smallest valid number.
        highest: the largest valid number.
        choices: the valid texts, for an option that is no number.
        whole: only whole numbers are valid.
    """

    default: Value
    meaning: str
    lowest: float = 0.0
    highest: float = 1.0
    choices: tuple[str, ...] = ()
    whole: bool = False

    def expected(self) -> str:
        """Say which values are valid."""
        if isinstance(self.default, bool):
            return "true or false"
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.lowest} to {self.highest}"

    def accepts(self, value: object) -> bool:
        """Say whether a value is valid; True and False are no numbers here."""
        if isinstance(self.default, bool):
            return isinstance(value, bool)
        if self.choices:
            return value in self.choices
        kinds = int if self.whole else int | float
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        return is_number and self.lowest <= value <= self.highest


@dataclass(frozen=True)
class Method:
    """A merge method.

    Attributes:
        combine: takes a `blocks.Block`, which gives the same rows of one tensor of each vector,
            with the options as keyword arguments, and gives the merged rows.
        title: the name in tables.
        reference: the paper that introduced it.
        options: the options by name.
        survey: what the method must know of all vectors before it can combine the first block.
            It takes the `blocks.Vectors` and the options; `combine` gets its result as `survey`.
        passes: how often a merge reads the vectors, as far as can be told before.
        ordered: the result depends on the order of the vectors by more than rounding.
    """

    combine: Callable[..., Tensor]
    title: str
    reference: str
    options: Mapping[str, Option] = field(default_factory=dict)
    survey: Callable[..., object] | None = None
    passes: int = 1
    ordered: bool = False

    def check(self, name: str, options: Mapping[str, object]) -> dict[str, Value]:
        """Fill in the defaults.

        Raises:
            UserError: an unknown option, or a value of another type or out of range.
        """
        for key, value in options.items():
            if key not in self.options:
                raise UserError(f"{name}: {unknown('option', key, self.options)}")
            if not self.options[key].accepts(value):
                expected = self.options[key].expected()
                raise UserError(f"{name}: option {key} is {value!r}, expected {expected}")
        return {key: options.get(key, option.default) for key, option in self.options.items()}


class _Methods(Mapping[str, Method]):
    """name -> method; a name is a file's name in `methods/` with `-` for `_`."""

    def __iter__(self) -> Iterator[str]:
        return iter(plugins.names(plugins.MERGE_METHODS))

    def __len__(self) -> int:
        return len(plugins.names(plugins.MERGE_METHODS))

    def __getitem__(self, name: str) -> Method:
        if name not in plugins.names(plugins.MERGE_METHODS):
            raise KeyError(name)
        return plugins.load(plugins.MERGE_METHODS, name).METHOD


METHODS: Mapping[str, Method] = _Methods()
