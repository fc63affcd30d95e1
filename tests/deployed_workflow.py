"""The workflow as others get it: from GitHub, of which a folder here takes the place."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tiny_study import Checkout

OWNER = "owner/negmerge"
GIT = ["git", "-c", "user.name=Tester", "-c", "user.email=tester@example.org"]


class Hub:
    """A repository of the workflow, with the tiny study, at its address on GitHub.

    Args:
        checkout: the files of its first version, the tag v1.
        folder: an empty folder.
    """

    def __init__(self, checkout: Checkout, folder: Path):
        self._work = checkout.copy(folder / "work").folder
        self._bare = folder / "hub" / OWNER
        # A library of that name which must not be taken for the workflow's.
        other = folder / "other" / "negmerge"
        other.mkdir(parents=True)
        (other / "__init__.py").write_text("raise ImportError('another negmerge')\n")
        self.variables = {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{folder}/hub/.insteadOf",
            "GIT_CONFIG_VALUE_0": "https://github.com/",
            "GITHUB_TOKEN": "",
            "PYTHONPATH": str(other.parent),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        self.environment = os.environ | self.variables
        self._git("init", "--quiet", "--initial-branch", "main")
        self.release("v1", time="2020-01-01T00:00:00Z")

    def release(self, tag: str, place: str = "", text: str = "", time: str = "") -> None:
        """Publish a version, with one file changed, as of a time."""
        if place:
            (self._work / place).write_text(text)
        dated = {"GIT_COMMITTER_DATE": time, "GIT_AUTHOR_DATE": time} if time else {}
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", tag, **dated)
        self._git("tag", tag)
        shutil.rmtree(self._bare, ignore_errors=True)
        self._git("clone", "--quiet", "--bare", ".", str(self._bare))

    def deploy(self, folder: Path, tag: str = "v1") -> "Deployed":
        """Let snakedeploy make a folder."""
        command = Path(sys.executable).with_name("snakedeploy")
        address = f"https://github.com/{OWNER}"
        subprocess.run(
            [command, "deploy-workflow", address, folder, "--tag", tag],
            env=self.environment,
            capture_output=True,
            check=True,
        )
        return Deployed(folder, self)

    def imported(self, folder: Path, *modules: str) -> "Deployed":
        """Make a folder with a Snakefile of somebody's own, which holds `module` statements."""
        folder.mkdir(exist_ok=True)
        (folder / "Snakefile").write_text("\n".join(modules))
        return Deployed(folder, self)

    def _git(self, *arguments: str, **variables: str) -> None:
        subprocess.run([*GIT, *arguments], cwd=self._work, env=os.environ | variables, check=True)


class Deployed(Checkout):
    """A folder in which the workflow of a hub is used."""

    def __init__(self, folder: Path, hub: Hub):
        super().__init__(folder)
        self.hub = hub

    def snakemake(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        return super().snakemake(*arguments, env=self.hub.environment, **options)

    def start(self, *arguments: str, **options) -> subprocess.Popen:
        return super().start(*arguments, env=self.hub.environment, **options)


def module(name: str, version: str, *lines: str, path: str = "workflow/Snakefile") -> str:
    """Write the statements that import all rules of the workflow."""
    source = f'snakefile: github("{OWNER}", path="{path}", {version})'
    body = "".join(f"    {line}\n" for line in (source, *lines))
    return f"module {name}:\n{body}\n\nuse rule * from {name} as {name}_*\n"


@pytest.fixture(scope="session")
def hub(checkout, tmp_path_factory) -> Hub:
    return Hub(checkout, tmp_path_factory.mktemp("hub"))
