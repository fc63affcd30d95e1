"""Pages that are followed: their blocks, and their commands in a copy of the workflow."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tiny_study import Checkout


def blocks(page: Path, language: str) -> list[str]:
    """Take the code blocks of one language out of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)


def add(made: Checkout, page: Path) -> None:
    """Add the data set, the model and the study of a page to a copy of the workflow."""
    data, model, study = blocks(page, "yaml")[:3]
    for name, row in (("datasets", data), ("models", model)):
        with open(made.folder / "config" / f"{name}.yaml", "a") as stream:
            stream.write(f"\n{row}")
    (made.folder / "config/studies/ours.yaml").write_text(study)


def follow(made: Checkout, page: Path) -> str:
    """Run the commands of a page, and return what they print."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    printed = ""
    for command in re.findall(r"^    ((?:negmerge|snakemake) .*)$", page.read_text(), re.M):
        program, *words = command.split()
        # Its jobs start sooner that way; see warm_python.py.
        start = [made.python, "-m", program] if program == "snakemake" else [program]
        run = subprocess.run(
            [*start, *words],
            cwd=made.folder,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        printed += run.stdout + run.stderr
    return printed
