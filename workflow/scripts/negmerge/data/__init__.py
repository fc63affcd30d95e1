"""Data sets: prepared once into one form, split by one rule, augmented by settings."""

from negmerge.data.splits import train_val_split

__all__ = ["train_val_split"]
