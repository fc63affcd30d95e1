"""What Snakemake asks of the command `apptainer`, done without a container.

An image is a folder beside this installation, with what lies in the image at its top: the paths in
`INSIDE`. They are put into commands that name these paths. All else is that of the machine.
"""

import json
import os
import sys
from pathlib import Path

INSIDE = ("/conda-envs/", "/opt/conda/")
FLAGS = ("--nv",)
PASSED = "APPTAINERENV_"


def main(words: list[str], root: Path) -> None:
    """Answer one call; whatever Snakemake is not known to ask ends with status 2."""
    if words == ["--version"]:
        print("apptainer version 1.4.0")
        return
    words = [word for word in words if word not in ("--quiet", "--silent")]
    options = {}
    if not words or words.pop(0) != "exec":
        sys.exit(2)
    while words[0].startswith("--"):
        name = words.pop(0)
        options.setdefault(name, []).append(None if name in FLAGS else words.pop(0))
    image, shell, flag, command = words
    if flag != "-c" or set(options) - {"--home", "--bind", *FLAGS}:
        sys.exit(2)
    given = {k.removeprefix(PASSED): v for k, v in os.environ.items() if k.startswith(PASSED)}
    call = {"image": image, "command": command, "options": options, "variables": given}
    with (root / "calls").open("a") as file:
        file.write(json.dumps(call) + "\n")
    for place in INSIDE:
        command = command.replace(place, f"{root}{place}")
    # A container does not have the variables of the machine that say where Python looks.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    os.execvpe(shell, [shell, "-c", command], kept | given)


if __name__ == "__main__":
    main(sys.argv[2:], Path(sys.argv[1]))
