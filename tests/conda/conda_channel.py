"""Channels for conda with this machine's own packages, and an installation that uses them.

A package holds links to what pip has installed here, with the version and the requirements that
its metadata give. So an environment has what its file lists and what comes with that, and no more.
"""

import asyncio
import io
import json
import os
import shlex
import sys
import sysconfig
import tarfile
from collections import defaultdict
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

HERE = Path(__file__).parent
SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
# Where conda's name is not that of the Python package index.
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
PIP_NAMES = {conda: pip for pip, conda in CONDA_NAMES.items()}
# Each process of an environment leaves a note there of what it runs.
WITNESS = """\
import os
import sys

folder = os.path.join(sys.prefix, "ran")
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, str(os.getpid())), "w") as note:
    note.write(" ".join(sys.orig_argv))
"""
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\n'


def install_conda(home: Path, wanted: set[str], python: str) -> Path:
    """Make an installation of conda whose channels have some packages and what these require.

    Give the folder for the search path. The package `python` is this machine's own, as `python`.
    """
    forge = home / "channels" / "conda-forge"
    _pack_python(forge, python)
    found = _with_requirements({PIP_NAMES.get(name, name) for name in wanted})
    links = _links(found)
    for name, (installed, requirements) in found.items():
        conda_name = CONDA_NAMES.get(name, name)
        depends = ["python", *map(_conda_spec, requirements)]
        _pack(forge, conda_name, Version(installed.version).public, depends, links=links[name])
    _index(forge)

    folder = home / "bin"
    folder.mkdir()
    (folder / "activate").write_text(ACTIVATE)
    command = [sys.executable, str(HERE / "conda_command.py"), str(home)]
    (folder / "conda").write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    (folder / "conda").chmod(0o755)
    return folder


def _with_requirements(names: set[str]) -> dict[str, tuple[Distribution, list[Requirement]]]:
    """Find distributions by name, and all that these require here."""
    found, waiting = {}, set(names)
    while waiting:
        name = waiting.pop()
        installed = distribution(name)
        found[name] = installed, _requirements(installed, {""})
        waiting |= {canonicalize_name(needed.name) for needed in found[name][1]} - found.keys()
    return found


def _requirements(installed: Distribution, extras: set[str]) -> list[Requirement]:
    """List what a distribution requires here, with what the extras bring that it asks for."""
    found = []
    for needed in map(Requirement, installed.requires or []):
        if needed.marker and not any(needed.marker.evaluate({"extra": e}) for e in extras):
            continue
        found.append(needed)
        if needed.extras:
            found += _requirements(distribution(needed.name), needed.extras)
    return found


def _conda_spec(needed: Requirement) -> str:
    name = canonicalize_name(needed.name)
    return f"{CONDA_NAMES.get(name, name)} {needed.specifier}".strip()


def _links(found: dict[str, tuple[Distribution, list[Requirement]]]) -> dict[str, dict[str, str]]:
    """Return for each distribution place in the environment -> place here.

    A folder is one link, unless several distributions share it.
    """
    files = {
        name: [path for path in map(str, installed.files) if not path.startswith("..")]
        for name, (installed, _) in found.items()
    }
    owners = defaultdict(set)
    for name, paths in files.items():
        for path in paths:
            for place in _above(path):
                owners[place].add(name)
    home = sysconfig.get_path("purelib")
    return {
        name: {
            f"{SITE}/{place}": f"{home}/{place}"
            for place in {next(p for p in _above(path) if len(owners[p]) == 1) for path in paths}
            if place != "__pycache__"
        }
        for name, paths in files.items()
    }


def _above(path: str) -> list[str]:
    """List the folders of a path, the outermost first, and the path itself."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


def _pack_python(channel: Path, version: str) -> None:
    """Pack this machine's Python, without its packages, as a virtual environment does."""
    program = os.path.realpath(sys.executable)
    settings = f"home = {os.path.dirname(program)}\ninclude-system-site-packages = false\n"
    files = {"pyvenv.cfg": settings, f"{SITE}/sitecustomize.py": WITNESS}
    _pack(channel, "python", version, [], links={"bin/python": program}, files=files)


def _pack(channel, name, version, depends, links=None, files=None) -> None:
    """Write a package into a channel; links and files: place -> target, place -> text."""
    links, files = links or {}, files or {}
    folder = channel / "noarch"
    folder.mkdir(parents=True, exist_ok=True)
    build = {"name": name, "version": version, "build": "0", "build_number": 0}
    index = build | {"depends": depends, "subdir": "noarch", "noarch": "generic"}
    kinds = {**dict.fromkeys(links, "softlink"), **dict.fromkeys(files, "hardlink")}
    paths = [{"_path": place, "path_type": kind} for place, kind in sorted(kinds.items())]
    texts = files | {
        "info/index.json": json.dumps(index),
        "info/paths.json": json.dumps({"paths_version": 1, "paths": paths}),
    }
    with tarfile.open(folder / f"{name}-{version}-0.tar.bz2", "w:bz2", compresslevel=1) as archive:
        for place, text in texts.items():
            member = tarfile.TarInfo(place)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        for place, target in links.items():
            member = tarfile.TarInfo(place)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)


def _index(channel: Path) -> None:
    """Write the list of a channel's packages."""
    from rattler.index import index_fs

    asyncio.run(index_fs(channel))
