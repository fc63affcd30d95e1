"""The merge methods by name: one file in `methods/` each, imported when it is asked for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from negmerge import plugins
from negmerge.errors import UserError, unknown


@dataclass(frozen=True)
class Option:
    """One option of a merge method.

    Attributes:
        default: the value where none is given.
        lowest, highest: the range of valid values, both ends included.
        meaning: one sentence for people.
    """

    default: float
    lowest: float
    highest: float
    meaning: str


@dataclass(frozen=True)
class Method:
    """A merge method.

    Attributes:
        combine: takes the same tensor of each of the vectors, one after the other, in float32 or
            float64, with the options as keyword arguments, and gives the merged tensor.
        title: the name in tables.
        reference: the paper that introduced it.
        options: the options by name.
    """

    combine: Callable[..., Tensor]
    title: str
    reference: str
    options: Mapping[str, Option] = field(default_factory=dict)

    def check(self, name: str, options: Mapping[str, object]) -> dict[str, float]:
        """Fill in the defaults.

        Raises:
            UserError: an unknown option, or a value of another type or out of range.
        """
        for key, value in options.items():
            if key not in self.options:
                raise UserError(f"{name}: {unknown('option', key, self.options)}")
            option = self.options[key]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not option.lowest <= value <= option.highest:
                raise UserError(
                    f"{name}: option {key} is {value!r}, expected a number from "
                    f"{option.lowest} to {option.highest}"
                )
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


def running_sum(vectors: Iterable[Tensor]) -> tuple[Tensor, int]:
    """Add up tensors in their order, and count them.

    One order of the sum gives one result to the bit, so the caller's order is kept.
    """
    iterator = iter(vectors)
    total = next(iterator).clone()
    count = 1
    for vector in iterator:
        total += vector
        count += 1
    return total, count
