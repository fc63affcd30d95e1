"""Adapters of PEFT as vectors of a pool, and merged vectors as adapters."""
