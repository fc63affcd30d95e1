"""Adapters of PEFT as vectors of a pool, and merged vectors as adapters."""

from negmerge.adapters.adapter import Adapter, is_adapter, open_adapter

__all__ = ["Adapter", "is_adapter", "open_adapter"]
