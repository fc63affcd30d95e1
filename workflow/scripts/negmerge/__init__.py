"""NegMerge: merging pools of fine-tuned models by sign consensus, for machine unlearning."""

import importlib

__version__ = "0.1.0"

# Names that are found where they are first used: torch, which they need, takes seconds to load.
LATER = {"unlearn": "negmerge.standalone.unlearning", "search": "negmerge.standalone.live"}


def __getattr__(name: str):
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(LATER[name]), name)
