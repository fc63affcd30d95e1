"""Adapters of PEFT as vectors of a pool, and merged vectors as adapters."""

from negmerge.adapters.adapter import Adapter, is_adapter, open_adapter
from negmerge.adapters.factoring import Factored, Layers, concatenate, factor
from negmerge.adapters.writing import write_adapter

__all__ = [
    "Adapter",
    "Factored",
    "Layers",
    "concatenate",
    "factor",
    "is_adapter",
    "open_adapter",
    "write_adapter",
]
