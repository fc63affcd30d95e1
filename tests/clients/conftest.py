"""Which tests an environment runs: those of the programs that are installed in it.

A file is named after the program, `test_PROGRAM_*.py`, or `image` for several, and imports what it
needs at its top, so one that is missing from its environment is an error. The variable CLIENT names
the environment.
"""

import os

import torch

RUNS = {
    "alone": ("alone",),
    "mergekit": ("mergekit",),
    "transformers4": ("transformers", "peft"),
    "transformers5": ("transformers", "versions", "peft", "sentence", "image"),
}
torch.set_num_threads(1)


def pytest_ignore_collect(collection_path):
    """Leave out the tests of programs that the environment named by CLIENT does not have."""
    if not collection_path.name.startswith("test_"):
        return None
    program = collection_path.stem.split("_")[1]
    assert any(program in programs for programs in RUNS.values()), f"nothing runs {program}"
    return program not in RUNS[os.environ["CLIENT"]]
