"""The merge methods by name: one file in `methods/` each, imported when it is asked for."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from negmerge import plugins
from negmerge.settings.options import Described


@dataclass(frozen=True)
class Method(Described):
    """A merge method.

    Attributes:
        combine: takes a `blocks.Block`, which gives the same rows of one tensor of each vector,
            with the options as keyword arguments, and gives the merged rows.
        survey: what the method must know of all vectors before it can combine the first block.
            It takes the `blocks.Vectors` and the options; `combine` gets its result as `survey`.
        passes: how often a merge reads the vectors, as far as is known before.
        ordered: the result depends on the order of the vectors by more than rounding.
        weights: of a method that is linear in the vectors: takes their number, and gives the
            weight of each in the result, whatever the options.
    """

    combine: Callable[..., Tensor]
    survey: Callable[..., object] | None = None
    passes: int = 1
    ordered: bool = False
    weights: Callable[[int], list[float]] | None = None


METHODS: plugins.Registry[Method] = plugins.Registry(plugins.MERGE_METHODS, "METHOD")
