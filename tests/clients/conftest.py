"""Which tests an environment runs: those of the programs that are installed in it.

A file is named after the program, `test_PROGRAM_*.py`, or `image` for several, and imports what it
needs at its top, so one that is missing from its environment is an error. The variable CLIENT names
the environment.
"""

import os

import pytest
import torch

RUNS = {
    "alone": ("alone",),
    "mergekit": ("mergekit",),
    "transformers4": ("transformers", "peft"),
    "transformers5": (
        "transformers",
        "versions",
        "peft",
        "sentence",
        "image",
    ),
}
PROGRAMS = {program for programs in RUNS.values() for program in programs}

torch.set_num_threads(1)


def pytest_ignore_collect(collection_path):
    """Leave out the tests of programs that the environment named by CLIENT does not have."""
    if not collection_path.name.startswith("test_"):
        return None
    program = collection_path.stem.split("_")[1]
    if program not in PROGRAMS:
        raise pytest.UsageError(f"{collection_path}: no environment in {__file__} runs it")
    return program not in RUNS[os.environ["CLIENT"]]
