"""What Snakemake asks of the command `conda`, with a real solver and installer (py-rattler).

Channels are folders: the name of a channel in an environment file is that of a folder in the
folder `channels` of this installation. Whatever else is asked ends with status 2.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import rattler
import yaml


def create(file: str, prefix: str, home: Path) -> None:
    """Solve an environment file and install what was found."""
    content = yaml.safe_load(Path(file).read_text())
    names = [name for name in content["channels"] if name != "nodefaults"]
    asyncio.run(_create(names, content["dependencies"], prefix, home))


async def _create(names: list[str], wanted: list[str], prefix: str, home: Path) -> None:
    records = await rattler.solve(
        [rattler.Channel((home / "channels" / name).as_uri()) for name in names],
        wanted,
        gateway=rattler.Gateway(cache_dir=home / "cache"),
        channel_priority=rattler.ChannelPriority.Strict,
    )
    await rattler.install(
        records, prefix, cache_dir=home / "cache" / "packages", show_progress=False
    )


def main(arguments: list[str], home: Path) -> int:
    """Answer one call; the messages of the solver go to the standard error output."""
    match arguments:
        case ["info", "--json"]:
            found = {"conda_prefix": str(home), "platform": str(rattler.Platform.current())}
            print(json.dumps(found))
        case ["--version"]:
            print("conda 24.7.1")
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", "--quiet", "--no-default-packages", "--file", file, "--prefix", to]:
            try:
                create(file, to, home)
            except Exception as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                return 1
        case ["clean", "-y", "--tarballs"]:
            pass  # the installer keeps none
        case _:
            print(f"this conda knows no {' '.join(arguments)}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    status = main(sys.argv[2:], Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    # py-rattler may crash while the interpreter ends, after all is done.
    os._exit(status)
