"""NegMerge: merging pools of fine-tuned models by sign consensus, for machine unlearning."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from negmerge.merging import merge
    from negmerge.standalone.coefficients import search
    from negmerge.standalone.unlearning import unlearn
    from negmerge.vectors import apply, task_vector

__all__ = ["__version__", "apply", "merge", "search", "task_vector", "unlearn"]
__version__ = "0.2.0"  # x-release-please-version

# Where a function is found when it is first used: torch, which all need, takes seconds to load.
_MODULES = {
    "apply": "negmerge.vectors",
    "merge": "negmerge.merging",
    "search": "negmerge.standalone.coefficients",
    "task_vector": "negmerge.vectors",
    "unlearn": "negmerge.standalone.unlearning",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
